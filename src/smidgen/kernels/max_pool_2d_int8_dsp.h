/* MAX_POOL_2D, int8, for cores with DSP instructions: 16 channels at a time. */
#ifndef SM_MAX_POOL_2D_INT8_DSP_H
#define SM_MAX_POOL_2D_INT8_DSP_H

#include "dsp.h"
#include "pool_2d.h"

/* The largest of `best` and of the window of the four channels at `in`. */
SM_DSP uint32_t sm_max_pool_four(const sm_pool_2d_span *span, const int8_t *in, uint32_t best) {
  for (int32_t rows = span->rows; rows > 0; --rows, in += span->gap) {
    for (int32_t cols = span->cols; cols > 0; --cols, in += span->step) {
      best = sm_max8(best, sm_load32(in));
    }
  }
  return best;
}

/* 4 channels or more. Pixels and their channels are computed in order, each from its own channel of
 * the window: the output may lie over the input as far as the window allows (see window_lead). A
 * word may hold channels that have been overwritten, besides those it is for. */
SM_KERNEL void sm_max_pool_2d_int8_dsp(const sm_pool_2d_int8_params *p, const int8_t *input,
                                       int8_t *output) {
  const int32_t channels = p->in_c;
  const uint32_t low = sm_four8(p->act_min), high = sm_four8(p->act_max);
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      const int8_t *first = input + span.first;
      int32_t left = channels;
      for (; left >= 16; left -= 16, first += 16, output += 16) {
        uint32_t a = low, b = low, c = low, d = low;
        const int8_t *in = first;
        for (int32_t rows = span.rows; rows > 0; --rows, in += span.gap) {
          for (int32_t cols = span.cols; cols > 0; --cols, in += span.step) {
            const uint32_t a_in = sm_load32(in), b_in = sm_load32(in + 4);
            const uint32_t c_in = sm_load32(in + 8), d_in = sm_load32(in + 12);
            a = sm_max8(a, a_in);
            b = sm_max8(b, b_in);
            c = sm_max8(c, c_in);
            d = sm_max8(d, d_in);
          }
        }
        sm_store32(output, sm_min8(a, high));
        sm_store32(output + 4, sm_min8(b, high));
        sm_store32(output + 8, sm_min8(c, high));
        sm_store32(output + 12, sm_min8(d, high));
      }
      for (; left > 0; left -= 4, first += 4) { /* words, or the upper channels of the last one */
        const int32_t n = left < 4 ? left : 4;
        uint32_t best = sm_min8(sm_max_pool_four(&span, first + n - 4, low), high);
        if (n == 4) {
          sm_store32(output, best);
          output += 4;
          continue;
        }
        best >>= 8 * (4 - n);
        for (int32_t c = 0; c < n; ++c, best >>= 8) {
          *output++ = (int8_t)(uint8_t)best;
        }
      }
    }
  }
}

#endif
