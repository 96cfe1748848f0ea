/* The complementary error function in float32 without a mathematics library. */
#ifndef SM_MATH_ERFC_H
#define SM_MATH_ERFC_H

#include "common.h"
#include "math_exp.h"

/* 1 - erf(x) to within 8 units in the last place; below 1e-38 it is 0.
 * For x >= 0 it is e^(-x x) times a polynomial of t = 1 / (1 + 0.4 x), fitted to a relative error
 * of 4e-8 up to x = 10.5 (least squares, weighted until the errors are level). */
static inline float sm_erfc(float x) {
  const float size = x < 0.0f ? -x : x;
  const float t = 1.0f / (1.0f + 0.4f * size);
  float sum = 0.0302721113f;
  sum = sum * t - 0.0831265226f;
  sum = sum * t - 0.0444445685f;
  sum = sum * t + 0.250773072f;
  sum = sum * t - 0.0483251959f;
  sum = sum * t + 0.258088052f;
  sum = sum * t + 0.180950776f;
  sum = sum * t + 0.230622351f;
  sum = sum * t + 0.225167781f;
  sum = sum * t + 2.21735991e-05f;
  /* The square of the upper half of x is exact; what it lacks makes a factor near 1. */
  uint32_t bits;
  memcpy(&bits, &size, sizeof bits);
  bits &= 0xfffff000u;
  float upper;
  memcpy(&upper, &bits, sizeof upper);
  const float lack = (size - upper) * (size + upper);
  const float power = size > 10.0f ? 0.0f : sm_exp(-upper * upper) * sm_exp(-lack);
  return x < 0.0f ? 2.0f - sum * power : sum * power;
}

#endif
