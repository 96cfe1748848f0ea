/* e^x in float32 without a mathematics library. */
#ifndef SM_MATH_EXP_H
#define SM_MATH_EXP_H

#include "common.h"

/* x - n ln 2 for the nearest whole n: at most ln(2)/2 from 0. ln 2 is in two parts, of which the
 * first has few bits, so that its product with n is exact. */
static inline float sm_exp_reduce(float x, int32_t *n) {
  const float halves = x * 1.44269504f;
  *n = (int32_t)(halves < 0.0f ? halves - 0.5f : halves + 0.5f);
  return (x - (float)*n * 0.693359375f) + (float)*n * 2.12194440e-4f;
}

/* e^r - 1 for r within ln(2)/2 of 0: the Taylor polynomial. */
static inline float sm_exp_polynomial(float r) {
  float sum = 1.0f / 5040.0f;
  sum = sum * r + 1.0f / 720.0f;
  sum = sum * r + 1.0f / 120.0f;
  sum = sum * r + 1.0f / 24.0f;
  sum = sum * r + 1.0f / 6.0f;
  sum = sum * r + 0.5f;
  return sum * r * r + r;
}

/* 2^n for n from -126 to 127: the exponent field alone. */
static inline float sm_power_of_two(int32_t n) {
  const uint32_t bits = (uint32_t)(n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return power;
}

/* e^x to within 2 units in the last place. Below -87 the result is 0, above 88.7 it is infinite; of
 * not-a-number it is not-a-number. */
static inline float sm_exp(float x) {
  if (!(x >= -87.0f)) {
    return x < 0.0f ? 0.0f : x;
  }
  int32_t n;
  const float r = sm_exp_reduce(x > 89.0f ? 89.0f : x, &n);
  /* 2^128 is no float, but e^88.7 is. */
  const float twice = n > 127 ? 2.0f : 1.0f;
  return (sm_exp_polynomial(r) + 1.0f) * sm_power_of_two(n > 127 ? 127 : n) * twice;
}

/* e^x - 1 for x up to 0, without cancellation near 0. */
static inline float sm_expm1(float x) {
  return x > -0.34f ? sm_exp_polynomial(x) : sm_exp(x) - 1.0f;
}

#endif
