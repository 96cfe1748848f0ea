/* AVERAGE_POOL_2D, uint8: the mean of each channel's window, the border not counted. */
#ifndef SM_AVERAGE_POOL_2D_UINT8_H
#define SM_AVERAGE_POOL_2D_UINT8_H

#include "pool_2d.h"
#include "requantize.h"

/* To the nearest, ties up. Pixels and their channels are computed in order, each from its own
 * channel of the window: the output may lie over the input as far as the window allows. */
SM_KERNEL void sm_average_pool_2d_uint8(const sm_pool_2d_int8_params *p, const uint8_t *input,
                                        uint8_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      const int32_t count = span.rows * span.cols;
      for (int32_t c = 0; c < p->in_c; ++c) {
        const uint8_t *in = input + span.first + c;
        int32_t sum = count / 2;
        for (int32_t y = span.rows; y > 0; --y, in += span.gap) {
          for (int32_t x = span.cols; x > 0; --x, in += span.step) {
            sum += *in;
          }
        }
        *output++ = (uint8_t)sm_clamp(sum / count, p->act_min, p->act_max);
      }
    }
  }
}

#endif
