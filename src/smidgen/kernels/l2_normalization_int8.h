/* L2_NORMALIZATION over the last axis, int8. */
#ifndef SM_L2_NORMALIZATION_INT8_H
#define SM_L2_NORMALIZATION_INT8_H

#include "common.h"
#include "requantize.h"

/* offset: minus the zero point, -127 to 128. depth: squares must fit int32, at most 33025. */
typedef struct {
  int32_t rows, depth;
  int32_t offset;
} sm_l2_normalization_int8_params;

/* x * 2^exponent, limited to int32. */
static inline int32_t sm_saturating_up(int64_t x, int32_t exponent) {
  const int64_t wide = x * ((int64_t)1 << exponent);
  return wide > INT32_MAX ? INT32_MAX : (wide < INT32_MIN ? INT32_MIN : (int32_t)wide);
}

/* 1 / sqrt(x) as multiplier * 2^(shift - 31), by Newton's iteration in Q3.28; of 0 that of 1. */
static inline int32_t sm_inverse_sqrt(int32_t x, int32_t *shift) {
  if (x <= 1) {
    *shift = 0;
    return INT32_MAX;
  }
  int32_t down = 11;
  for (; x >= (int32_t)1 << 29; x /= 4) {
    ++down;
  }
  /* x from 2^27 up to 2^29: 1/4 to 1. */
  for (; x < (int32_t)1 << 27; x *= 4) {
    --down;
  }
  const int32_t half = sm_divide_by_pot(x >> 1, 1);
  int32_t y = (int32_t)1 << 28;
  for (int i = 0; i < 5; ++i) {
    const int32_t cube = sm_saturating_up(sm_high_mul(sm_high_mul(y, y), y), 6);
    const int32_t step = sm_high_mul(402653184, y) - sm_high_mul(half, cube); /* 3/2 y - ... */
    y = sm_saturating_up(step, 3);
  }
  y = sm_high_mul(y, 1518500250); /* sqrt(1/2) */
  for (; down < 0; ++down) {
    y *= 2;
  }
  *shift = -down;
  return y;
}

/* May compute in place. */
SM_KERNEL void sm_l2_normalization_int8(const sm_l2_normalization_int8_params *p,
                                        const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    int32_t sum = 0;
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t x = input[c] + p->offset;
      sum += x * x;
    }
    int32_t shift;
    const int32_t multiplier = sm_inverse_sqrt(sum, &shift);
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t scaled = sm_requantize(input[c] + p->offset, multiplier, shift + 7);
      output[c] = (int8_t)sm_clamp(scaled, -128, 127);
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
