/* Sums of two bytes as a plane, which is exact where it was proved so; see numerics/plane.py. */
#ifndef SM_PLANE_INT8_H
#define SM_PLANE_INT8_H

#include "common.h"
#include "requantize.h"

/* Bits that are dropped. */
#define SM_PLANE_SHIFT 21

/* rows of `size` pairs; a row of an operand starts a_stride or b_stride after the one before, 0 if
 * it is the same one again. With x = a * a_multiplier + b * b_multiplier + addend, which never
 * leaves int32, an output is x >> SM_PLANE_SHIFT limited to act_min .. act_max; with ties, it is
 * (x + (x >> 31) + rounding) >> SM_PLANE_SHIFT. Multipliers are less than 2^23 in magnitude. */
typedef struct {
  int32_t rows, size;
  int32_t a_stride, b_stride;
  int32_t a_multiplier, b_multiplier;
  int32_t addend, rounding;
  int32_t act_min, act_max;
} sm_plane_int8_params;

/* x of one pair; `ties` is a literal, here and below. */
static inline int32_t sm_plane_sum(const sm_plane_int8_params *p, int8_t a, int8_t b, int ties) {
  const int32_t x = a * p->a_multiplier + p->addend + b * p->b_multiplier;
  return ties ? x + (x >> 31) + p->rounding : x;
}

static inline void sm_plane_int8(const sm_plane_int8_params *p, const int8_t *a, const int8_t *b,
                                 int8_t *output, int ties) {
  const sm_plane_int8_params plane = *p; /* compilers see that outputs do not change it */
  for (int32_t row = 0; row < plane.rows; ++row) {
    for (int32_t i = 0; i < plane.size; ++i) {
      const int32_t sum = sm_plane_sum(&plane, a[i], b[i], ties) >> SM_PLANE_SHIFT;
      output[i] = (int8_t)sm_clamp(sum, plane.act_min, plane.act_max);
    }
    a += plane.a_stride;
    b += plane.b_stride;
    output += plane.size;
  }
}

#endif
