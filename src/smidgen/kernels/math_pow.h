/* Powers in float32 without a mathematics library. */
#ifndef SM_MATH_POW_H
#define SM_MATH_POW_H

#include "common.h"
#include "math_floor.h"

/* log2(x) of a positive number in float64: what the exponent is multiplied by needs more digits
 * than a float has. x = 2^n m with m from sqrt(1/2) to sqrt(2); ln m = 2 atanh((m - 1) / (m + 1)).
 */
static inline double sm_log2_wide(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  int32_t n = 0;
  if (bits < 0x800000u) { /* subnormal */
    x *= 33554432.0f;     /* 2^25 */
    memcpy(&bits, &x, sizeof bits);
    n = -25;
  }
  bits += 0x3f800000u - 0x3f3504f3u;
  n += (int32_t)(bits >> 23) - 127;
  bits = (bits & 0x7fffffu) + 0x3f3504f3u;
  float m;
  memcpy(&m, &bits, sizeof m);
  const double s = ((double)m - 1.0) / ((double)m + 1.0), z = s * s;
  double sum = 0.0;
  for (int32_t k = 17; k > 0; k -= 2) {
    sum = sum * z + 2.0 / (double)k;
  }
  return (double)n + s * sum * 1.4426950408889634;
}

/* 2^x for |x| below 160, rounded to a float. */
static inline float sm_exp2_wide(double x) {
  const int32_t n = (int32_t)(x < 0.0 ? x - 0.5 : x + 0.5);
  const double r = (x - (double)n) * 0.6931471805599453;
  double sum = 1.0;
  for (int32_t k = 9; k > 0; --k) {
    sum = sum * r / (double)k + 1.0;
  }
  /* In two steps: the powers themselves must be floats. */
  const int32_t half = n / 2;
  const uint32_t first = (uint32_t)(half + 127) << 23, second = (uint32_t)(n - half + 127) << 23;
  float a, b;
  memcpy(&a, &first, sizeof a);
  memcpy(&b, &second, sizeof b);
  return (float)(sum * (double)a) * b;
}

/* a^b to within 2 units in the last place. */
static inline float sm_pow(float a, float b) {
  if (b == 0.0f || a == 1.0f) {
    return 1.0f;
  }
  if (a != a || b != b) {
    return a + b;
  }
  uint32_t bits;
  memcpy(&bits, &a, sizeof bits);
  const int negative = bits >> 31 != 0; /* -0 too */
  const float size = negative ? -a : a;
  const int whole = sm_floor(b) == b;
  /* From 2^24 on every float is even. */
  const int odd = whole && b > -16777216.0f && b < 16777216.0f && ((int32_t)b & 1) != 0;
  float power;
  if (size == 0.0f || !(size <= 3.4028235e38f)) {
    power = (size == 0.0f) == (b < 0.0f) ? 1.0f / 0.0f : 0.0f;
  } else if (negative && !whole) {
    return (a - a) / 0.0f; /* not a number */
  } else {
    const double exponent = size == 1.0f ? 0.0 : (double)b * sm_log2_wide(size);
    power = exponent > 129.0 ? 1.0f / 0.0f : (exponent < -151.0 ? 0.0f : sm_exp2_wide(exponent));
  }
  return negative && odd ? -power : power;
}

#endif
