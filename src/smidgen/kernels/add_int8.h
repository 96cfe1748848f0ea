/* ADD, int8: two operands that broadcast, brought to one scale, summed and scaled back. */
#ifndef SM_ADD_INT8_H
#define SM_ADD_INT8_H

#include "common.h"
#include "sum_int8.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_add_int8(const sm_sum_int8_params *p, const int8_t *a, const int8_t *b,
                           int8_t *output) {
  for (int32_t i = 0; i < p->size0; ++i) {
    for (int32_t j = 0; j < p->size1; ++j) {
      for (int32_t k = 0; k < p->size2; ++k) {
        const int8_t *pa = a + i * p->stride_a0 + j * p->stride_a1 + k * p->stride_a2;
        const int8_t *pb = b + i * p->stride_b0 + j * p->stride_b1 + k * p->stride_b2;
        for (int32_t l = 0; l < p->size3; ++l) {
          const int32_t sum = sm_sum_a(p, pa[l * p->stride_a3]) + sm_sum_b(p, pb[l * p->stride_b3]);
          *output++ = sm_sum_output(p, sum);
        }
      }
    }
  }
}

#endif
