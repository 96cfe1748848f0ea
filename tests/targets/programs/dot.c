/* Integer arithmetic as a kernel has it: dot products, a 64-bit product, shifts and clamps. */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

int program(const int8_t *in, int8_t *out) {
  for (int row = 0; row < 64; ++row) {
    int32_t sum = row * 3;
    for (int column = 0; column < 64; ++column) {
      sum += in[column] * in[(column * 7 + row) % 64];
    }
    int64_t product = (int64_t)sum * 1518500250;
    int32_t scaled = (int32_t)((product + ((int64_t)1 << 36)) >> 37);
    scaled = scaled < -128 ? -128 : scaled > 127 ? 127 : scaled;
    out[row] = (int8_t)scaled;
  }
  return 0;
}
