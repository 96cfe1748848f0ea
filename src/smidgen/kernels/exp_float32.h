/* e^x in float32 without a mathematics library. */
#ifndef SM_EXP_FLOAT32_H
#define SM_EXP_FLOAT32_H

#include "common.h"

/* e^x to within 2 units in the last place. Below -87 the result is 0, above 88 it is e^88; of
 * not-a-number it is not-a-number.
 * x = n ln 2 + r with |r| <= ln(2)/2: the Taylor polynomial of e^r, times 2^n. */
static inline float sm_exp_float32(float x) {
  if (!(x >= -87.0f)) {
    return x < 0.0f ? 0.0f : x;
  }
  x = x > 88.0f ? 88.0f : x;
  const float halves = x * 1.44269504f;
  const int32_t n = (int32_t)(halves < 0.0f ? halves - 0.5f : halves + 0.5f);
  /* ln 2 in two parts; the first has few bits, so that its product with n is exact. */
  const float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
  float sum = 1.0f / 5040.0f;
  sum = sum * r + 1.0f / 720.0f;
  sum = sum * r + 1.0f / 120.0f;
  sum = sum * r + 1.0f / 24.0f;
  sum = sum * r + 1.0f / 6.0f;
  sum = sum * r + 0.5f;
  sum = sum * r * r + r + 1.0f;
  /* 2^n is the exponent field alone: n is within -126 .. 127. */
  const uint32_t bits = (uint32_t)(n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return sum * power;
}

#endif
