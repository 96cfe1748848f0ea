/* MEAN and SUM, int8, for cores with DSP instructions: axes before the channels, 16 at a time. */
#ifndef SM_MEAN_INT8_DSP_H
#define SM_MEAN_INT8_DSP_H

#include "lanes_dsp.h"
#include "mean_loops.h"
#include "requantize_dsp.h"

/* Sums of 16 channels over `count` positions, up to SM_LANE_LIMIT of them. */
SM_DSP void sm_mean_lanes16(const int8_t *in, int32_t count, int32_t stride, sm_lane_sums *sums) {
  sm_lanes16 all = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
  for (; count > 0; --count, in += stride) {
    sm_lanes_add16(&all, in);
  }
  sums[0] = all.a;
  sums[1] = all.b;
  sums[2] = all.c;
  sums[3] = all.d;
}

/* Of 4 channels. */
SM_DSP void sm_mean_lanes4(const int8_t *in, int32_t count, int32_t stride, sm_lane_sums *sums) {
  sm_lane_sums four = {0, 0};
  for (; count > 0; --count, in += stride) {
    sm_lanes_add(&four, sm_load32(in));
  }
  *sums = four;
}

/* Sums of `n` channels at `in`, 4 or 16. */
SM_DSP void sm_mean_sums(const sm_mean_int8_params *p, const int8_t *in, int32_t n, int32_t *sums) {
  const int32_t stride = p->reduce_stride1;
  for (int32_t i = 0; i < n; ++i) {
    sums[i] = p->sum_offset;
  }
  for (int32_t k = 0; k < p->reduce_size0; ++k, in += p->reduce_stride0) {
    const int8_t *at = in;
    for (int32_t left = p->reduce_size1; left > 0; left -= SM_LANE_LIMIT) {
      const int32_t count = left < SM_LANE_LIMIT ? left : SM_LANE_LIMIT;
      sm_lane_sums lanes[4];
      if (n == 16) {
        sm_mean_lanes16(at, count, stride, lanes);
      } else {
        sm_mean_lanes4(at, count, stride, lanes);
      }
      for (int32_t i = 0; 4 * i < n; ++i) {
        sums[4 * i] += sm_lanes_sum(lanes[i], 0);
        sums[4 * i + 1] += sm_lanes_sum(lanes[i], 1);
        sums[4 * i + 2] += sm_lanes_sum(lanes[i], 2);
        sums[4 * i + 3] += sm_lanes_sum(lanes[i], 3);
      }
      at += count * stride;
    }
  }
}

/* keep_stride1 is 1, keep_size1 at least 4, shift -21 to -1, and sums are below 2^29. Outputs are
 * written in order, each after its elements were read, none of which lies before the output's own
 * position: may compute in place. A word may hold channels that have been overwritten, besides
 * those it is for. */
SM_KERNEL void sm_mean_int8_dsp(const sm_mean_int8_params *p, const int8_t *input, int8_t *output) {
  const sm_scale_dsp scale = sm_scale_dsp_of(p->multiplier, -p->shift, 2 * p->output_offset + 1);
  for (int32_t i = 0; i < p->keep_size0; ++i) {
    const int8_t *in = input + i * p->keep_stride0;
    for (int32_t left = p->keep_size1; left > 0;) {
      const int32_t n = left >= 16 ? 16 : (left >= 4 ? 4 : left);
      int32_t sums[16];
      const int32_t extra = n < 4 ? 4 - n : 0; /* the last ones are those at the end of a word */
      const int32_t *const sum = sums + extra;
      sm_mean_sums(p, in - extra, n + extra, sums);
      for (int32_t c = 0; c < n; ++c) {
        *output++ = (int8_t)sm_requantize_dsp(2 * sum[c], scale);
      }
      in += n;
      left -= n;
    }
  }
}

#endif
