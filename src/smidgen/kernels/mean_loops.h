/* What the kernels of MEAN and SUM, int8, share. */
#ifndef SM_MEAN_LOOPS_H
#define SM_MEAN_LOOPS_H

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

/* The output of a sum. */
static inline int8_t sm_mean_output(const sm_mean_int8_params *p, int32_t sum) {
  const int32_t mean = sm_requantize(sum, p->multiplier, p->shift) + p->output_offset;
  return (int8_t)sm_clamp(mean, -128, 127);
}

#endif
