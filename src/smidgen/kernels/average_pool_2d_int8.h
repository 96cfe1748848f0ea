/* AVERAGE_POOL_2D, int8: the mean of each channel's window, the border not counted. */
#ifndef SM_AVERAGE_POOL_2D_INT8_H
#define SM_AVERAGE_POOL_2D_INT8_H

#include "common.h"
#include "pool_2d.h"
#include "pool_mean.h"
#include "requantize.h"

/* Sums of `n` neighbouring channels, 1 to 4, over a window; n is a literal. */
static inline void sm_average_pool_sums(const sm_pool_2d_span *span, const int8_t *in, int32_t n,
                                        int32_t *sums) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (int32_t y = span->rows; y > 0; --y, in += span->gap) {
    for (int32_t x = span->cols; x > 0; --x, in += span->step) {
      s0 += in[0];
      if (n == 4) {
        s1 += in[1];
        s2 += in[2];
        s3 += in[3];
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

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_average_pool_2d_int8(const sm_pool_2d_int8_params *p, const int8_t *input,
                                       int8_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      const sm_pool_mean mean = sm_pool_mean_over(span.rows * span.cols);
      const int8_t *in = input + span.first;
      for (int32_t left = p->in_c; left > 0;) {
        const int32_t n = left >= 4 ? 4 : 1;
        int32_t sums[4];
        if (n == 4) {
          sm_average_pool_sums(&span, in, 4, sums);
        } else {
          sm_average_pool_sums(&span, in, 1, sums);
        }
        for (int32_t i = 0; i < n; ++i) {
          const int32_t value = sm_pool_mean_of_many(&mean, sums[i]);
          *output++ = (int8_t)sm_clamp(value, p->act_min, p->act_max);
        }
        in += n;
        left -= n;
      }
    }
  }
}

#endif
