/* PRELU, int8. */
#ifndef SM_PRELU_INT8_H
#define SM_PRELU_INT8_H

#include "pair.h"
#include "requantize.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand: a is what is
 * rectified, b the slopes. Offsets are minus the zero points, -127 to 128. The factors that
 * multipliers and shifts stand for are at most 2^14: products must fit int32. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
  int32_t a_offset, b_offset, output_offset;
  int32_t positive_multiplier, positive_shift;
  int32_t negative_multiplier, negative_shift;
} sm_prelu_int8_params;

static inline int8_t sm_prelu_one_int8(const sm_prelu_int8_params *p, int8_t a, int8_t b) {
  const int32_t x = a + p->a_offset, slope = b + p->b_offset;
  const int32_t scaled = x >= 0
                             ? sm_requantize(x, p->positive_multiplier, p->positive_shift)
                             : sm_requantize(x * slope, p->negative_multiplier, p->negative_shift);
  return (int8_t)sm_clamp(scaled + p->output_offset, -128, 127);
}

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_prelu_int8(const sm_prelu_int8_params *p, const int8_t *a, const int8_t *b,
                             int8_t *output) {
  SM_EACH_PAIR(p, int8_t, a, b, output, sm_prelu_one_int8(p, x, y));
}

#endif
