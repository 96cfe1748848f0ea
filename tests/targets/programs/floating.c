/* Single-precision arithmetic: in the FPU where there is one, in the compiler's library else. */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

int program(const int8_t *in, int8_t *out) {
  float mean = 0.0f;
  for (int i = 0; i < 64; ++i) {
    mean += (float)in[i] * 0.125f;
  }
  for (int i = 0; i < 64; ++i) {
    float x = ((float)in[i] - mean / 8.0f) * 0.731f + 1.0f / (float)(i + 1);
    x = x < -100.0f ? -100.0f : x > 100.0f ? 100.0f : x;
    out[i] = (int8_t)x;
  }
  return 0;
}
