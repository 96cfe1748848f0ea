/* What the kernels that pool a window of each channel share. */
#ifndef SM_POOL_2D_H
#define SM_POOL_2D_H

#include "common.h"
#include "window.h"

/* Shapes are channels-last. The dilation is 1. Sums of int8 must fit int32: kernel_h * kernel_w
 * up to 16,000,000. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t act_min, act_max;
} sm_pool_2d_int8_params;

typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  float act_min, act_max;
} sm_pool_2d_float32_params;

/* The part of a window that lies inside the image: `rows` times `cols` positions, the first at
 * element `first`, neighbours `step` elements apart, and `gap` more from row to row. */
typedef struct {
  int32_t first, rows, cols, step, gap;
} sm_pool_2d_span;

static inline sm_pool_2d_span sm_pool_2d_span_of(const sm_pool_2d_int8_params *p, int32_t oy,
                                                 int32_t ox) {
  const int32_t y = oy * p->stride_h - p->pad_h, x = ox * p->stride_w - p->pad_w;
  const int32_t top = sm_window_begin(y, 1), left = sm_window_begin(x, 1);
  sm_pool_2d_span span;
  span.first = ((y + top) * p->in_w + x + left) * p->in_c;
  span.rows = sm_window_end(y, 1, p->kernel_h, p->in_h) - top;
  span.cols = sm_window_end(x, 1, p->kernel_w, p->in_w) - left;
  span.step = p->in_c;
  span.gap = (p->in_w - span.cols) * p->in_c;
  if (span.gap == 0) { /* whole rows follow each other */
    span.cols *= span.rows;
    span.rows = 1;
  }
  return span;
}

#endif
