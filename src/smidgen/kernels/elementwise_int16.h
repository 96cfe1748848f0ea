/* ADD, SUB and MUL, int16: two operands that broadcast. Zero points are 0. */
#ifndef SM_ELEMENTWISE_INT16_H
#define SM_ELEMENTWISE_INT16_H

#include "mul_int8.h"
#include "pair.h"
#include "sum_int8.h"

/* Operands at their common scale. They are shifted left by 15 first, as in TFLM. */
static inline int32_t sm_sum_int16(const sm_sum_int8_params *p, int32_t a, int32_t b) {
  return sm_requantize(a * (1 << 15), p->a_multiplier, p->a_shift) +
         sm_requantize(b * (1 << 15), p->b_multiplier, p->b_shift);
}

static inline int32_t sm_difference_int16(const sm_sum_int8_params *p, int32_t a, int32_t b) {
  return sm_requantize(a * (1 << 15), p->a_multiplier, p->a_shift) -
         sm_requantize(b * (1 << 15), p->b_multiplier, p->b_shift);
}

/* A result at the output's scale, limited. */
static inline int16_t sm_sum_output_int16(const sm_sum_int8_params *p, int32_t sum) {
  const int32_t scaled = sm_requantize(sum, p->output_multiplier, p->output_shift);
  return (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
}

static inline int16_t sm_product_int16(const sm_mul_int8_params *p, int32_t a, int32_t b) {
  const int32_t scaled = sm_requantize(a * b, p->multiplier, p->shift);
  return (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
}

/* All of them may compute in place over an operand that has the output's size. */

SM_KERNEL void sm_add_int16(const sm_sum_int8_params *p, const int16_t *a, const int16_t *b,
                            int16_t *output) {
  SM_EACH_PAIR(p, int16_t, a, b, output, sm_sum_output_int16(p, sm_sum_int16(p, x, y)));
}

SM_KERNEL void sm_sub_int16(const sm_sum_int8_params *p, const int16_t *a, const int16_t *b,
                            int16_t *output) {
  SM_EACH_PAIR(p, int16_t, a, b, output, sm_sum_output_int16(p, sm_difference_int16(p, x, y)));
}

SM_KERNEL void sm_mul_int16(const sm_mul_int8_params *p, const int16_t *a, const int16_t *b,
                            int16_t *output) {
  SM_EACH_PAIR(p, int16_t, a, b, output, sm_product_int16(p, x, y));
}

#endif
