/* REDUCE_PROD, float32: products over any axes. */
#ifndef SM_REDUCE_PROD_FLOAT32_H
#define SM_REDUCE_PROD_FLOAT32_H

#include "common.h"

/* Two loops over axes that stay, and for each output two loops over axes that go, all with element
 * strides into the input; a loop that is not needed has size 1. */
typedef struct {
  int32_t keep_size0, keep_stride0;
  int32_t keep_size1, keep_stride1;
  int32_t reduce_size0, reduce_stride0;
  int32_t reduce_size1, reduce_stride1;
} sm_reduce_prod_float32_params;

/* Outputs are written in order, each after its elements were read, none of which lies before the
 * output's own position: may compute in place. */
SM_KERNEL void sm_reduce_prod_float32(const sm_reduce_prod_float32_params *p, const float *input,
                                      float *output) {
  for (int32_t i = 0; i < p->keep_size0; ++i) {
    for (int32_t j = 0; j < p->keep_size1; ++j) {
      const float *in = input + i * p->keep_stride0 + j * p->keep_stride1;
      float product = 1.0f;
      for (int32_t k = 0; k < p->reduce_size0; ++k) {
        for (int32_t l = 0; l < p->reduce_size1; ++l) {
          product *= in[k * p->reduce_stride0 + l * p->reduce_stride1];
        }
      }
      *output++ = product;
    }
  }
}

#endif
