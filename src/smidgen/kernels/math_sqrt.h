/* Square roots in float32 without a mathematics library. */
#ifndef SM_MATH_SQRT_H
#define SM_MATH_SQRT_H

#include "common.h"

/* The square root, rounded to nearest as IEEE 754 has it. Of negative numbers it is not-a-number.
 * A first guess from half the exponent and two of Newton's steps come within a few units; whole
 * numbers do the rest. */
static inline float sm_sqrt(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (bits - 1u >= 0x7f7fffffu) { /* 0, negative, infinite or not a number */
    return x < 0.0f ? (x - x) / 0.0f : x;
  }
  /* x = m * 2^e with e even and m from 2^46 up to 2^48: its root has 24 bits. */
  int32_t e = (int32_t)(bits >> 23) - 150;
  uint64_t m = bits & 0x7fffffu;
  if (e == -150) { /* subnormal */
    e = -149;
    while (m < 0x800000u) {
      m *= 2;
      --e;
    }
  }
  m |= 0x800000u;
  const int32_t up = 24 - (e & 1);
  m <<= up;
  e = (e - up) / 2;

  const float whole = (float)m;
  uint32_t guess;
  memcpy(&guess, &whole, sizeof guess);
  guess = (guess >> 1) + 0x1fbb4000u;
  float root;
  memcpy(&root, &guess, sizeof root);
  root = 0.5f * (root + whole / root);
  root = 0.5f * (root + whole / root);

  uint32_t r = (uint32_t)root;
  while ((uint64_t)r * r > m) {
    --r;
  }
  while ((uint64_t)(r + 1) * (r + 1) <= m) {
    ++r;
  }
  /* The root is r + something below 1: up if that is more than a half. */
  r += m - (uint64_t)r * r > r;
  /* r is a float with 24 bits: its exponent and e make the result's. */
  float result = (float)r;
  uint32_t out;
  memcpy(&out, &result, sizeof out);
  out += (uint32_t)e << 23;
  memcpy(&result, &out, sizeof result);
  return result;
}

#endif
