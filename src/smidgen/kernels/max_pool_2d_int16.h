/* MAX_POOL_2D, int16: the largest of each channel's window, the border left out. */
#ifndef SM_MAX_POOL_2D_INT16_H
#define SM_MAX_POOL_2D_INT16_H

#include "pool_2d.h"

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_max_pool_2d_int16(const sm_pool_2d_int8_params *p, const int16_t *input,
                                    int16_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      for (int32_t c = 0; c < p->in_c; ++c) {
        const int16_t *in = input + span.first + c;
        int32_t best = p->act_min;
        for (int32_t y = span.rows; y > 0; --y, in += span.gap) {
          for (int32_t x = span.cols; x > 0; --x, in += span.step) {
            best = *in > best ? *in : best;
          }
        }
        *output++ = (int16_t)(best < p->act_max ? best : p->act_max);
      }
    }
  }
}

#endif
