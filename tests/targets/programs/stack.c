/* Uses STACK_USED bytes of stack, every one of them. */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

int program(const int8_t *in, int8_t *out) {
  volatile int8_t local[STACK_USED];
  for (int i = 0; i < STACK_USED; ++i) {
    local[i] = (int8_t)(in[i & 63] + i);
  }
  for (int i = 0; i < 64; ++i) {
    out[i] = local[STACK_USED - 64 + i];
  }
  return 0;
}
