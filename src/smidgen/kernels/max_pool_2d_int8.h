/* MAX_POOL_2D, int8: the largest of each channel's window, the border left out. */
#ifndef SM_MAX_POOL_2D_INT8_H
#define SM_MAX_POOL_2D_INT8_H

#include "common.h"
#include "pool_2d.h"

/* The largest of `best` and of a channel's window. */
static inline int32_t sm_max_pool_one(const sm_pool_2d_span *span, const int8_t *in, int32_t best) {
  for (int32_t y = span->rows; y > 0; --y, in += span->gap) {
    for (int32_t x = span->cols; x > 0; --x, in += span->step) {
      best = *in > best ? *in : best;
    }
  }
  return best;
}

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_max_pool_2d_int8(const sm_pool_2d_int8_params *p, const int8_t *input,
                                   int8_t *output) {
  const int32_t channels = p->in_c, low = p->act_min, high = p->act_max;
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const sm_pool_2d_span span = sm_pool_2d_span_of(p, oy, ox);
      const int8_t *in = input + span.first;
      for (int32_t c = 0; c < channels; ++c) {
        const int32_t best = sm_max_pool_one(&span, in + c, low);
        *output++ = (int8_t)(best < high ? best : high);
      }
    }
  }
}

#endif
