/* MAX_POOL_2D, int8: the largest of each channel's window, the border left out. */
#ifndef SM_MAX_POOL_2D_INT8_H
#define SM_MAX_POOL_2D_INT8_H

#include "common.h"
#include "pool_2d.h"

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_max_pool_2d_int8(const sm_pool_2d_int8_params *p, const int8_t *input,
                                   int8_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    const int32_t y_begin = y0 + sm_window_begin(y0, 1);
    const int32_t y_end = y0 + sm_window_end(y0, 1, p->kernel_h, p->in_h);
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int32_t x_begin = x0 + sm_window_begin(x0, 1);
      const int32_t x_end = x0 + sm_window_end(x0, 1, p->kernel_w, p->in_w);
      for (int32_t c = 0; c < p->in_c; ++c) {
        int32_t best = p->act_min;
        for (int32_t y = y_begin; y < y_end; ++y) {
          for (int32_t x = x_begin; x < x_end; ++x) {
            const int32_t value = input[(y * p->in_w + x) * p->in_c + c];
            best = value > best ? value : best;
          }
        }
        *output++ = (int8_t)(best < p->act_max ? best : p->act_max);
      }
    }
  }
}

#endif
