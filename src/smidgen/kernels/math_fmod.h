/* Remainders in float32 without a mathematics library. */
#ifndef SM_MATH_FMOD_H
#define SM_MATH_FMOD_H

#include "common.h"

/* Mantissa and exponent of a positive float: x = m 2^e, m below 2^24 and from 2^23 on unless e is
 * the least exponent there is. */
static inline uint32_t sm_mantissa(float x, int32_t *e) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int32_t field = (int32_t)(bits >> 23 & 0xff);
  *e = field == 0 ? -149 : field - 150;
  return field == 0 ? bits & 0x7fffffu : (bits & 0x7fffffu) | 0x800000u;
}

/* What whole multiples of b leave of a, with the sign of a: exact. */
static inline float sm_fmod(float a, float b) {
  float size = a < 0.0f ? -a : a;
  const float by = b < 0.0f ? -b : b;
  if (!(size <= 3.4028235e38f) || !(by > 0.0f)) {
    return (a - a) / (b - b); /* not a number */
  }
  if (!(by <= 3.4028235e38f) || size < by) {
    return b != b ? b : a;
  }
  int32_t e, by_e;
  uint32_t m = sm_mantissa(size, &e);
  const uint32_t by_m = sm_mantissa(by, &by_e);
  m %= by_m;
  for (; e > by_e; --e) {
    m = (m * 2) % by_m;
  }
  /* m 2^by_e, by way of two factors that are floats. */
  size = (float)m;
  for (; by_e < -100; by_e += 40) {
    size *= 9.0949470177292824e-13f; /* 2^-40 */
  }
  const uint32_t bits = (uint32_t)(by_e + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  size *= power;
  return a < 0.0f ? -size : size;
}

#endif
