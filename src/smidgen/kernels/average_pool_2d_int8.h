/* AVERAGE_POOL_2D, int8: the mean of each channel's window, the border not counted. */
#ifndef SM_AVERAGE_POOL_2D_INT8_H
#define SM_AVERAGE_POOL_2D_INT8_H

#include "common.h"
#include "pool_2d.h"
#include "requantize.h"

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_average_pool_2d_int8(const sm_pool_2d_int8_params *p, const int8_t *input,
                                       int8_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    const int32_t y_begin = y0 + sm_window_begin(y0, 1);
    const int32_t y_end = y0 + sm_window_end(y0, 1, p->kernel_h, p->in_h);
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int32_t x_begin = x0 + sm_window_begin(x0, 1);
      const int32_t x_end = x0 + sm_window_end(x0, 1, p->kernel_w, p->in_w);
      const int32_t count = (y_end - y_begin) * (x_end - x_begin);
      for (int32_t c = 0; c < p->in_c; ++c) {
        int32_t sum = 0;
        for (int32_t y = y_begin; y < y_end; ++y) {
          for (int32_t x = x_begin; x < x_end; ++x) {
            sum += input[(y * p->in_w + x) * p->in_c + c];
          }
        }
        /* To the nearest, ties away from zero. */
        const int32_t half = sum > 0 ? count / 2 : -(count / 2);
        *output++ = (int8_t)sm_clamp((sum + half) / count, p->act_min, p->act_max);
      }
    }
  }
}

#endif
