/* Sine and cosine in float32 without a mathematics library. */
#ifndef SM_MATH_SIN_COS_H
#define SM_MATH_SIN_COS_H

#include "common.h"

/* 2 / pi after the binary point, with 32 zeros before it. */
static const uint32_t sm_two_over_pi[] = {0u,          0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                                          0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};

/* Takes x to within pi/4 of 0 and returns the quadrant it was in, modulo 4.
 * x = m 2^e: of the bits of 2/pi those whose product with m 2^e is a multiple of 4 do not matter.
 * The next 96 leave a fraction that is exact to 60 bits, however large x is. */
static inline int32_t sm_quadrant(float x, float *rest) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t m = (bits & 0x7fffffu) | 0x800000u;
  const int32_t e = (int32_t)(bits >> 23 & 0xff) - 150;
  /* Bit i after the point has weight 2^-i: skip those before e - 1, which is at least -31. */
  const uint32_t skip = (uint32_t)(e + 30);
  const uint32_t *word = sm_two_over_pi + skip / 32;
  const uint32_t by = skip % 32;
  uint32_t window[3];
  for (int i = 0; i < 3; ++i) {
    window[i] = by == 0 ? word[i] : (word[i] << by | word[i + 1] >> (32 - by));
  }
  const uint64_t low = (uint64_t)window[2] * m;
  const uint64_t middle = (uint64_t)window[1] * m + (low >> 32);
  const uint64_t high = ((uint64_t)(window[0] * m) << 32) + middle;
  /* Two bits of quadrant and 62 of fraction; the nearest quadrant leaves a signed fraction. */
  const uint32_t quadrant = (uint32_t)((high + ((uint64_t)1 << 61)) >> 62);
  const uint64_t left = high - ((uint64_t)quadrant << 62);
  const int negative = left >> 63 != 0;
  const float size = (float)(negative ? 0 - left : left) * 3.40612158e-19f; /* pi / 2 / 2^62 */
  *rest = negative ? -size : size;
  return (int32_t)(quadrant & 3u);
}

/* Of r within pi/4 of 0: Taylor polynomials. */
static inline float sm_sin_near_zero(float r) {
  const float z = r * r;
  float sum = 1.0f / 362880.0f;
  sum = sum * z - 1.0f / 5040.0f;
  sum = sum * z + 1.0f / 120.0f;
  sum = sum * z - 1.0f / 6.0f;
  return r + r * z * sum;
}

static inline float sm_cos_near_zero(float r) {
  const float z = r * r;
  float sum = -1.0f / 3628800.0f;
  sum = sum * z + 1.0f / 40320.0f;
  sum = sum * z - 1.0f / 720.0f;
  sum = sum * z + 1.0f / 24.0f;
  return 1.0f - (0.5f * z - z * z * sum);
}

/* sin(x + quadrants * pi/2) to within 3 units in the last place, for any finite x. */
static inline float sm_sin_quadrant(float x, int32_t quadrants) {
  const float size = x < 0.0f ? -x : x;
  float rest = size;
  int32_t quadrant = 0;
  if (!(size < 3.4e38f)) {
    return x - x;
  }
  if (size > 0.785398f) {
    quadrant = sm_quadrant(size, &rest);
  }
  if (x < 0.0f) {
    quadrant = -quadrant;
    rest = -rest;
  }
  quadrant = (quadrant + quadrants) & 3;
  const float y = (quadrant & 1) != 0 ? sm_cos_near_zero(rest) : sm_sin_near_zero(rest);
  return (quadrant & 2) != 0 ? -y : y;
}

static inline float sm_sin(float x) { return sm_sin_quadrant(x, 0); }

static inline float sm_cos(float x) { return sm_sin_quadrant(x, 1); }

#endif
