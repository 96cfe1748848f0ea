/* MEAN and SUM, int8: sums over any axes, scaled to the output. */
#ifndef SM_MEAN_INT8_H
#define SM_MEAN_INT8_H

#include "mean_loops.h"

/* Sums of `n` outputs, 1 or 4, whose elements lie side by side; n is a literal. */
static inline void sm_mean_sum(const sm_mean_int8_params *p, const int8_t *in, int32_t n,
                               int32_t *sums) {
  int32_t s0 = p->sum_offset, s1 = s0, s2 = s0, s3 = s0;
  for (int32_t k = 0; k < p->reduce_size0; ++k, in += p->reduce_stride0) {
    const int8_t *at = in;
    for (int32_t l = p->reduce_size1; l > 0; --l, at += p->reduce_stride1) {
      s0 += at[0];
      if (n == 4) {
        s1 += at[1];
        s2 += at[2];
        s3 += at[3];
      }
    }
  }
  sums[0] = s0;
  if (n == 4) {
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
  }
}

/* Outputs are written in order, each after its elements were read, none of which lies before the
 * output's own position: may compute in place. */
SM_KERNEL void sm_mean_int8(const sm_mean_int8_params *p, const int8_t *input, int8_t *output) {
  for (int32_t i = 0; i < p->keep_size0; ++i) {
    const int8_t *in = input + i * p->keep_stride0;
    for (int32_t left = p->keep_size1; left > 0;) {
      const int32_t n = left >= 4 && p->keep_stride1 == 1 ? 4 : 1;
      int32_t sums[4];
      if (n == 4) {
        sm_mean_sum(p, in, 4, sums);
      } else {
        sm_mean_sum(p, in, 1, sums);
      }
      for (int32_t c = 0; c < n; ++c) {
        *output++ = sm_mean_output(p, sums[c]);
      }
      in += n * p->keep_stride1;
      left -= n;
    }
  }
}

#endif
