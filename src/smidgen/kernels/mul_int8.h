/* MUL, int8: the product of two operands that broadcast. */
#ifndef SM_MUL_INT8_H
#define SM_MUL_INT8_H

#include "common.h"
#include "requantize.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand.
 * a_offset, b_offset: minus the zero points, -127 to 128. The factor that multiplier and shift
 * stand for is at most 2^14: products must fit int32. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
  int32_t a_offset, b_offset, output_offset;
  int32_t multiplier, shift;
  int32_t act_min, act_max;
} sm_mul_int8_params;

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_mul_int8(const sm_mul_int8_params *p, const int8_t *a, const int8_t *b,
                           int8_t *output) {
  for (int32_t i = 0; i < p->size0; ++i) {
    for (int32_t j = 0; j < p->size1; ++j) {
      for (int32_t k = 0; k < p->size2; ++k) {
        const int8_t *pa = a + i * p->stride_a0 + j * p->stride_a1 + k * p->stride_a2;
        const int8_t *pb = b + i * p->stride_b0 + j * p->stride_b1 + k * p->stride_b2;
        for (int32_t l = 0; l < p->size3; ++l) {
          const int32_t product =
              (pa[l * p->stride_a3] + p->a_offset) * (pb[l * p->stride_b3] + p->b_offset);
          const int32_t scaled = sm_requantize(product, p->multiplier, p->shift);
          *output++ = (int8_t)sm_clamp(scaled + p->output_offset, p->act_min, p->act_max);
        }
      }
    }
  }
}

#endif
