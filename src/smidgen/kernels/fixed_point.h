/* Fixed-point arithmetic on int32: Qm.n has m integer bits and n = 31 - m fraction bits. */
#ifndef SM_FIXED_POINT_H
#define SM_FIXED_POINT_H

#include "common.h"
#include "requantize.h"

/* 1 / (1 + x) for x in [0, 1], both in Q0.31: Newton-Raphson steps towards 1 / d in Q2.29, where
 * d = (1 + x) / 2 in Q0.31. */
static inline int32_t sm_one_over_one_plus_x(int32_t x) {
  const int32_t d = (int32_t)(((uint32_t)x + 0x80000000u) >> 1);
  int32_t r = 1515870810 + sm_high_mul(d, -1010580540); /* 48/17 - 32/17 d */
  for (int i = 0; i < 3; ++i) {
    const int32_t error = ((int32_t)1 << 29) - sm_high_mul(d, r);
    r += sm_high_mul(r, error) * 4;
  }
  /* Half of it, read as Q1.30, to Q0.31; 1 itself does not fit. */
  return r >= ((int32_t)1 << 30) ? INT32_MAX : r * 2;
}

#endif
