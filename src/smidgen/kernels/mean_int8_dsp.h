/* MEAN, int8, for cores with DSP instructions: over axes before the channels, 16 at a time. */
#ifndef SM_MEAN_INT8_DSP_H
#define SM_MEAN_INT8_DSP_H

#include "lanes_dsp.h"
#include "mean_loops.h"
#include "requantize_dsp.h"

/* Adds the sums of four channels to those at `sums` and begins again. */
SM_DSP void sm_mean_flush(sm_lane_sums *lanes, int32_t *sums) {
  sums[0] += sm_lanes_sum(*lanes, 0);
  sums[1] += sm_lanes_sum(*lanes, 1);
  sums[2] += sm_lanes_sum(*lanes, 2);
  sums[3] += sm_lanes_sum(*lanes, 3);
  lanes->even = lanes->odd = 0;
}

/* Sums of `n` channels at `in`, 4 or 16; n is a literal. */
SM_DSP void sm_mean_sums(const sm_mean_int8_params *p, const int8_t *in, int32_t n, int32_t *sums) {
  sm_lanes16 lanes = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
  int32_t room = SM_LANE_LIMIT;
  for (int32_t i = 0; i < n; ++i) {
    sums[i] = p->sum_offset;
  }
  for (int32_t k = 0; k < p->reduce_size0; ++k, in += p->reduce_stride0) {
    const int8_t *at = in;
    for (int32_t left = p->reduce_size1; left > 0;) {
      int32_t some = left < room ? left : room;
      left -= some;
      room -= some;
      for (; some > 0; --some, at += p->reduce_stride1) {
        if (n == 16) {
          sm_lanes_add16(&lanes, at);
        } else {
          sm_lanes_add(&lanes.a, sm_load32(at));
        }
      }
      if (room == 0 || (left == 0 && k == p->reduce_size0 - 1)) {
        sm_mean_flush(&lanes.a, sums);
        if (n == 16) {
          sm_mean_flush(&lanes.b, sums + 4);
          sm_mean_flush(&lanes.c, sums + 8);
          sm_mean_flush(&lanes.d, sums + 12);
        }
        room = SM_LANE_LIMIT;
      }
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
      const int32_t *sum = sums;
      if (n == 16) {
        sm_mean_sums(p, in, 16, sums);
      } else { /* the last of a word that ends where the channels do, if there is less than one */
        sm_mean_sums(p, in + n - 4, 4, sums);
        sum += 4 - n;
      }
      for (int32_t c = 0; c < n; ++c) {
        *output++ = (int8_t)sm_requantize_dsp(2 * sum[c], scale);
      }
      in += n;
      left -= n;
    }
  }
}

#endif
