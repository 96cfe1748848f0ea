/* MEAN, int16: means over any axes, scaled to the output. */
#ifndef SM_MEAN_INT16_H
#define SM_MEAN_INT16_H

#include "mean_loops.h"

/* Up to 65,535 elements go into one mean. Outputs are written in order, each after its elements
 * were read, none of which lies before the output's own position: may compute in place. */
SM_KERNEL void sm_mean_int16(const sm_mean_int8_params *p, const int16_t *input, int16_t *output) {
  for (int32_t i = 0; i < p->keep_size0; ++i) {
    for (int32_t j = 0; j < p->keep_size1; ++j) {
      const int16_t *in = input + i * p->keep_stride0 + j * p->keep_stride1;
      int32_t sum = p->sum_offset;
      for (int32_t k = 0; k < p->reduce_size0; ++k) {
        for (int32_t l = 0; l < p->reduce_size1; ++l) {
          sum += in[k * p->reduce_stride0 + l * p->reduce_stride1];
        }
      }
      const int32_t mean = sm_requantize(sum, p->multiplier, p->shift) + p->output_offset;
      *output++ = (int16_t)sm_clamp(mean, -32768, 32767);
    }
  }
}

#endif
