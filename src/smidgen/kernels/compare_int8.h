/* What the comparisons of int8 numbers of different scales share. */
#ifndef SM_COMPARE_INT8_H
#define SM_COMPARE_INT8_H

#include "pair.h"
#include "requantize.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand.
 * Offsets are minus the zero points, -127 to 128. Multipliers and shifts stand for the scales,
 * which are below 1. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
  int32_t a_offset, a_multiplier, a_shift;
  int32_t b_offset, b_multiplier, b_shift;
} sm_compare_int8_params;

/* The real numbers in steps of 1/256. */
static inline int32_t sm_comparable_a(const sm_compare_int8_params *p, int8_t a) {
  return sm_requantize((a + p->a_offset) * 256, p->a_multiplier, p->a_shift);
}

static inline int32_t sm_comparable_b(const sm_compare_int8_params *p, int8_t b) {
  return sm_requantize((b + p->b_offset) * 256, p->b_multiplier, p->b_shift);
}

#endif
