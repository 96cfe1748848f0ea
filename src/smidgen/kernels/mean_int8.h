/* MEAN, int8: means over any axes, scaled to the output. */
#ifndef SM_MEAN_INT8_H
#define SM_MEAN_INT8_H

#include "mean_loops.h"

/* Outputs are written in order, each after its elements were read, none of which lies before the
 * output's own position: may compute in place. */
SM_KERNEL void sm_mean_int8(const sm_mean_int8_params *p, const int8_t *input, int8_t *output) {
  for (int32_t i = 0; i < p->keep_size0; ++i) {
    for (int32_t j = 0; j < p->keep_size1; ++j) {
      const int8_t *in = input + i * p->keep_stride0 + j * p->keep_stride1;
      int32_t sum = p->sum_offset;
      for (int32_t k = 0; k < p->reduce_size0; ++k) {
        for (int32_t l = 0; l < p->reduce_size1; ++l) {
          sum += in[k * p->reduce_stride0 + l * p->reduce_stride1];
        }
      }
      *output++ = sm_mean_output(p, sum);
    }
  }
}

#endif
