/* What ADD and SUB, int8, share. */
#ifndef SM_SUM_INT8_H
#define SM_SUM_INT8_H

#include "common.h"
#include "requantize.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand.
 * Offsets are minus the zero points, -127 to 128. Shifts are -31 to 0. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
  int32_t a_offset, b_offset, output_offset;
  int32_t a_multiplier, a_shift;
  int32_t b_multiplier, b_shift;
  int32_t output_multiplier, output_shift;
  int32_t act_min, act_max;
} sm_sum_int8_params;

/* Both operands at their common scale. They are shifted left by 20 first, as in TFLM. */
static inline int32_t sm_sum_a(const sm_sum_int8_params *p, int8_t a) {
  return sm_requantize((a + p->a_offset) * (1 << 20), p->a_multiplier, p->a_shift);
}

static inline int32_t sm_sum_b(const sm_sum_int8_params *p, int8_t b) {
  return sm_requantize((b + p->b_offset) * (1 << 20), p->b_multiplier, p->b_shift);
}

/* The sum at the output's scale, limited. */
static inline int8_t sm_sum_output(const sm_sum_int8_params *p, int32_t sum) {
  const int32_t scaled = sm_requantize(sum, p->output_multiplier, p->output_shift);
  return (int8_t)sm_clamp(scaled + p->output_offset, p->act_min, p->act_max);
}

#endif
