/* AVERAGE_POOL_2D, int8, for cores with DSP instructions: 16 channels at a time. */
#ifndef SM_AVERAGE_POOL_2D_INT8_DSP_H
#define SM_AVERAGE_POOL_2D_INT8_DSP_H

#include "lanes_dsp.h"
#include "pool_2d.h"
#include "pool_mean.h"
#include "requantize_dsp.h"

SM_DSP void sm_average_pool_four(sm_lane_sums sums, const sm_pool_mean *mean, int8_t *out) {
  out[0] = sm_pool_mean_of(mean, sm_lanes_sum(sums, 0));
  out[1] = sm_pool_mean_of(mean, sm_lanes_sum(sums, 1));
  out[2] = sm_pool_mean_of(mean, sm_lanes_sum(sums, 2));
  out[3] = sm_pool_mean_of(mean, sm_lanes_sum(sums, 3));
}

/* Sums of the four channels at `in` over the window. */
SM_DSP sm_lane_sums sm_average_pool_sum(const sm_pool_2d_span *span, const int8_t *in) {
  sm_lane_sums sums = {0, 0};
  for (int32_t rows = span->rows; rows > 0; --rows, in += span->gap) {
    for (int32_t cols = span->cols; cols > 0; --cols, in += span->step) {
      sm_lanes_add(&sums, sm_load32(in));
    }
  }
  return sums;
}

/* 4 channels or more, windows of up to SM_LANE_LIMIT positions. Pixels and their channels are
 * computed in order, each from its own channel of the window: the output may lie over the input as
 * far as the window allows (see window_lead). A word may hold channels that have been overwritten,
 * besides those it is for. */
SM_KERNEL void sm_average_pool_2d_int8_dsp(const sm_pool_2d_int8_params *p, const int8_t *input,
                                           int8_t *output) {
  const int32_t channels = p->in_c;
  int8_t *out = output;
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      const sm_pool_mean mean = sm_pool_mean_over(span.rows * span.cols);
      const int8_t *first = input + span.first;
      int32_t left = channels;
      for (; left >= 16; left -= 16, first += 16, out += 16) {
        sm_lanes16 sums = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
        const int8_t *in = first;
        for (int32_t rows = span.rows; rows > 0; --rows, in += span.gap) {
          for (int32_t cols = span.cols; cols > 0; --cols, in += span.step) {
            sm_lanes_add16(&sums, in);
          }
        }
        sm_average_pool_four(sums.a, &mean, out);
        sm_average_pool_four(sums.b, &mean, out + 4);
        sm_average_pool_four(sums.c, &mean, out + 8);
        sm_average_pool_four(sums.d, &mean, out + 12);
      }
      for (; left >= 4; left -= 4, first += 4, out += 4) {
        sm_average_pool_four(sm_average_pool_sum(&span, first), &mean, out);
      }
      if (left > 0) {
        int8_t last[4];
        sm_average_pool_four(sm_average_pool_sum(&span, first + left - 4), &mean, last);
        for (int32_t i = 4 - left; i < 4; ++i) {
          *out++ = last[i];
        }
      }
    }
  }
  if (p->act_min > -128 || p->act_max < 127) {
    sm_limit_bytes_dsp(output, (int32_t)(out - output), p->act_min, p->act_max);
  }
}

#endif
