/* The natural logarithm in float32 without a mathematics library. */
#ifndef SM_MATH_LOG_H
#define SM_MATH_LOG_H

#include "common.h"

/* ln x to within 2 units in the last place; minus infinity of 0, not-a-number of negative numbers.
 * x = 2^n (1 + f) with 1 + f from sqrt(1/2) to sqrt(2); ln(1 + f) = 2 atanh(s) for s = f / (2 + f),
 * an odd series, written so that f itself is the largest term. */
static inline float sm_log(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (bits - 1u >= 0x7f7fffffu) { /* 0, negative, infinite or not a number */
    return x == 0.0f ? -1.0f / 0.0f : (x < 0.0f ? (x - x) / 0.0f : x);
  }
  int32_t n = 0;
  if (bits < 0x800000u) { /* subnormal */
    x *= 33554432.0f;     /* 2^25 */
    memcpy(&bits, &x, sizeof bits);
    n = -25;
  }
  /* The fraction of sqrt(1/2) carries into the exponent. */
  bits += 0x3f800000u - 0x3f3504f3u;
  n += (int32_t)(bits >> 23) - 127;
  bits = (bits & 0x7fffffu) + 0x3f3504f3u;
  float f;
  memcpy(&f, &bits, sizeof f);
  f -= 1.0f;

  const float s = f / (2.0f + f), z = s * s;
  float rest = 2.0f / 11.0f;
  rest = rest * z + 2.0f / 9.0f;
  rest = rest * z + 2.0f / 7.0f;
  rest = rest * z + 2.0f / 5.0f;
  rest = (rest * z + 2.0f / 3.0f) * z;
  const float half = 0.5f * f * f;
  const float small = s * (half + rest) + (float)n * -2.12194440e-4f;
  return (float)n * 0.693359375f - ((half - small) - f);
}

#endif
