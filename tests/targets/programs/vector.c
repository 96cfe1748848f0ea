/* A loop that any vectorizing compiler turns into 16 elements an instruction. */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

int program(const int8_t *restrict in, int8_t *restrict out) {
  for (int i = 0; i < 64; ++i) {
    out[i] = (int8_t)((in[i] ^ 0x55) + in[i]);
  }
  return 0;
}
