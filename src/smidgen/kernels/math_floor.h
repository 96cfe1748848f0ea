/* Rounding to whole numbers in float32 without a mathematics library. */
#ifndef SM_MATH_FLOOR_H
#define SM_MATH_FLOOR_H

#include "common.h"

/* Whether x has no fraction, or is not a number: from 2^23 on floats are whole numbers. */
static inline int sm_is_whole(float x) { return !(x > -8388608.0f && x < 8388608.0f); }

/* The largest whole number that is not above x. */
static inline float sm_floor(float x) {
  if (sm_is_whole(x)) {
    return x;
  }
  const float toward_zero = (float)(int32_t)x;
  return toward_zero > x ? toward_zero - 1.0f : toward_zero;
}

/* The nearest whole number, of two the even one. */
static inline float sm_round(float x) {
  if (sm_is_whole(x)) {
    return x;
  }
  const float low = sm_floor(x), above = x - low;
  const int odd = (int32_t)low & 1;
  return above > 0.5f || (above == 0.5f && odd) ? low + 1.0f : low;
}

#endif
