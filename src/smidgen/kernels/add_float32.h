/* ADD, float32: two operands that broadcast. */
#ifndef SM_ADD_FLOAT32_H
#define SM_ADD_FLOAT32_H

#include "elementwise_float32.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_add_float32(const sm_elementwise_float32_params *p, const float *a,
                              const float *b, float *output) {
  for (int32_t i = 0; i < p->size0; ++i) {
    for (int32_t j = 0; j < p->size1; ++j) {
      for (int32_t k = 0; k < p->size2; ++k) {
        const float *pa = a + i * p->stride_a0 + j * p->stride_a1 + k * p->stride_a2;
        const float *pb = b + i * p->stride_b0 + j * p->stride_b1 + k * p->stride_b2;
        for (int32_t l = 0; l < p->size3; ++l) {
          *output++ =
              sm_clamp_float32(pa[l * p->stride_a3] + pb[l * p->stride_b3], p->act_min, p->act_max);
        }
      }
    }
  }
}

#endif
