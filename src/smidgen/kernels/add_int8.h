/* ADD, int8: two operands that broadcast, brought to one scale, summed and scaled back. */
#ifndef SM_ADD_INT8_H
#define SM_ADD_INT8_H

#include "common.h"
#include "requantize.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand.
 * Offsets are minus the zero points, -127 to 128. */
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
} sm_add_int8_params;

/* Centred operands are shifted left by 20 before they are scaled, as TFLM does. */
static inline int8_t sm_add_one_int8(const sm_add_int8_params *p, int8_t a, int8_t b) {
  const int32_t scaled_a =
      sm_requantize((a + p->a_offset) * (1 << 20), p->a_multiplier, p->a_shift);
  const int32_t scaled_b =
      sm_requantize((b + p->b_offset) * (1 << 20), p->b_multiplier, p->b_shift);
  const int32_t sum =
      sm_requantize(scaled_a + scaled_b, p->output_multiplier, p->output_shift);
  return (int8_t)sm_clamp(sum + p->output_offset, p->act_min, p->act_max);
}

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_add_int8(const sm_add_int8_params *p, const int8_t *a, const int8_t *b,
                           int8_t *output) {
  for (int32_t i = 0; i < p->size0; ++i) {
    for (int32_t j = 0; j < p->size1; ++j) {
      for (int32_t k = 0; k < p->size2; ++k) {
        const int8_t *pa = a + i * p->stride_a0 + j * p->stride_a1 + k * p->stride_a2;
        const int8_t *pb = b + i * p->stride_b0 + j * p->stride_b1 + k * p->stride_b2;
        for (int32_t l = 0; l < p->size3; ++l) {
          *output++ = sm_add_one_int8(p, pa[l * p->stride_a3], pb[l * p->stride_b3]);
        }
      }
    }
  }
}

#endif
