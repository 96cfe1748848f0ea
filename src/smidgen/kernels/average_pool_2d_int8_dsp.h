/* AVERAGE_POOL_2D, int8, for cores with DSP instructions: 16 channels at a time. */
#ifndef SM_AVERAGE_POOL_2D_INT8_DSP_H
#define SM_AVERAGE_POOL_2D_INT8_DSP_H

#include "lanes_dsp.h"
#include "pool_2d.h"
#include "pool_mean.h"
#include "requantize_dsp.h"

/* Sums of 16 channels at `in` over the window. */
SM_DSP void sm_average_pool_16(const sm_pool_2d_span *span, const int8_t *in, sm_lane_sums *sums) {
  sm_lanes16 all = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
  for (int32_t rows = span->rows; rows > 0; --rows, in += span->gap) {
    for (int32_t cols = span->cols; cols > 0; --cols, in += span->step) {
      sm_lanes_add16(&all, in);
    }
  }
  sums[0] = all.a;
  sums[1] = all.b;
  sums[2] = all.c;
  sums[3] = all.d;
}

/* Of 4 channels. */
SM_DSP void sm_average_pool_4(const sm_pool_2d_span *span, const int8_t *in, sm_lane_sums *sums) {
  sm_lane_sums four = {0, 0};
  for (int32_t rows = span->rows; rows > 0; --rows, in += span->gap) {
    for (int32_t cols = span->cols; cols > 0; --cols, in += span->step) {
      sm_lanes_add(&four, sm_load32(in));
    }
  }
  *sums = four;
}

/* The means of four channels as a word. */
SM_DSP uint32_t sm_average_pool_means(sm_lane_sums sums, const sm_pool_mean *mean) {
  const uint32_t a = (uint8_t)sm_pool_mean_of(mean, sm_lanes_sum(sums, 0));
  const uint32_t b = (uint8_t)sm_pool_mean_of(mean, sm_lanes_sum(sums, 1));
  const uint32_t c = (uint8_t)sm_pool_mean_of(mean, sm_lanes_sum(sums, 2));
  const uint32_t d = (uint8_t)sm_pool_mean_of(mean, sm_lanes_sum(sums, 3));
  return a | b << 8 | c << 16 | d << 24;
}

/* 4 channels or more, windows of up to SM_LANE_LIMIT positions. Pixels and their channels are
 * computed in order, each from its own channel of the window: the output may lie over the input as
 * far as the window allows (see window_lead). A word may hold channels that have been overwritten,
 * besides those it is for. */
SM_KERNEL void sm_average_pool_2d_int8_dsp(const sm_pool_2d_int8_params *p, const int8_t *input,
                                           int8_t *output) {
  int8_t *out = output;
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      const sm_pool_mean mean = sm_pool_mean_over(span.rows * span.cols);
      const int8_t *in = input + span.first;
      for (int32_t left = p->in_c; left > 0;) {
        /* 16 channels, 4, or those at the end of a last word. */
        const int32_t n = left >= 16 ? 16 : (left >= 4 ? 4 : left);
        sm_lane_sums sums[4];
        if (n == 16) {
          sm_average_pool_16(&span, in, sums);
        } else {
          sm_average_pool_4(&span, in + n - 4, sums);
        }
        for (int32_t i = 0; 4 * i < n; ++i) {
          uint32_t means = sm_average_pool_means(sums[i], &mean);
          if (n >= 4) {
            sm_store32(out, means);
            out += 4;
            continue;
          }
          means >>= 8 * (4 - n);
          for (int32_t c = 0; c < n; ++c, means >>= 8) {
            *out++ = (int8_t)(uint8_t)means;
          }
        }
        in += n;
        left -= n;
      }
    }
  }
  if (p->act_min > -128 || p->act_max < 127) {
    sm_limit_bytes_dsp(output, (int32_t)(out - output), p->act_min, p->act_max);
  }
}

#endif
