/* SQUARED_DIFFERENCE, int8. */
#ifndef SM_SQUARED_DIFFERENCE_INT8_H
#define SM_SQUARED_DIFFERENCE_INT8_H

#include "pair.h"
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
} sm_squared_difference_int8_params;

/* Both operands are brought to twice the larger of their scales, with 7 fraction bits. */
static inline int8_t sm_squared_difference(const sm_squared_difference_int8_params *p, int8_t a,
                                           int8_t b) {
  const int32_t first = sm_requantize((a + p->a_offset) * 128, p->a_multiplier, p->a_shift);
  const int32_t second = sm_requantize((b + p->b_offset) * 128, p->b_multiplier, p->b_shift);
  const int32_t square = (first - second) * (first - second);
  const int32_t scaled = sm_requantize(square, p->output_multiplier, p->output_shift);
  return (int8_t)sm_clamp(scaled + p->output_offset, -128, 127);
}

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_squared_difference_int8(const sm_squared_difference_int8_params *p,
                                          const int8_t *a, const int8_t *b, int8_t *output) {
  SM_EACH_PAIR(p, int8_t, a, b, output, sm_squared_difference(p, x, y));
}

#endif
