/* MEAN, int8: means over any axes, scaled to the output. */
#ifndef SM_MEAN_INT8_H
#define SM_MEAN_INT8_H

#include "common.h"
#include "requantize.h"

/* Two loops over axes that stay, and for each output two loops over axes that go, all with element
 * strides into the input; a loop that is not needed has size 1. The multiplier includes the
 * division by the count. Sums must fit int32: up to 8,000,000 elements go into one mean.
 * sum_offset: minus the input's zero point, times the count. */
typedef struct {
  int32_t keep_size0, keep_stride0;
  int32_t keep_size1, keep_stride1;
  int32_t reduce_size0, reduce_stride0;
  int32_t reduce_size1, reduce_stride1;
  int32_t sum_offset, output_offset;
  int32_t multiplier, shift;
} sm_mean_int8_params;

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
      const int32_t mean = sm_requantize(sum, p->multiplier, p->shift) + p->output_offset;
      *output++ = (int8_t)sm_clamp(mean, -128, 127);
    }
  }
}

#endif
