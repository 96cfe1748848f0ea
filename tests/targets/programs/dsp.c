/* Two multiply-accumulates an instruction where the core has them. */
#include <stdint.h>
#include <string.h>

int program(const int8_t *in, int8_t *out);

#if defined(__ARM_FEATURE_DSP)
static int32_t dual(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}
#else
static int32_t dual(uint32_t a, uint32_t b, int32_t sum) {
  return sum + (int16_t)a * (int16_t)b + (int16_t)(a >> 16) * (int16_t)(b >> 16);
}
#endif

int program(const int8_t *in, int8_t *out) {
  for (int i = 0; i < 64; ++i) {
    int32_t sum = i;
    for (int j = 0; j < 64; j += 4) {
      uint32_t a;
      uint32_t b;
      memcpy(&a, in + j, 4);
      memcpy(&b, in + ((j + 4 * i) & 63), 4);
      sum = dual(a, b, sum);
    }
    out[i] = (int8_t)(sum >> 13);
  }
  return 0;
}
