/* DEPTHWISE_CONV_2D, int16 with int8 weights: any stride, dilation, padding and multiplier. */
#ifndef SM_DEPTHWISE_CONV_2D_INT16_H
#define SM_DEPTHWISE_CONV_2D_INT16_H

#include "layer_int16.h"
#include "window.h"

/* Shapes are channels-last; weights are (kernel_h, kernel_w, in_c * depth_multiplier), and input
 * channel c makes the outputs from c * depth_multiplier on. kernel_w: up to 511, for sums of a
 * window's row to fit 32 bits. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t depth_multiplier;
  int32_t wide;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* see layer_int16.h */
  const int64_t *wide_bias;
  const int8_t *weights;
} sm_depthwise_conv_2d_int16_params;

/* The output of a sum. */
static inline int16_t sm_depthwise_output_int16(const sm_depthwise_conv_2d_int16_params *p,
                                                int64_t sum, int32_t oc) {
  const int64_t acc = sm_bias_int16(p->bias, p->wide_bias, oc) + sum;
  const int32_t scaled = sm_scale_int16(acc, p->multiplier[oc], p->shift[oc], p->wide);
  return (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
}

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_depthwise_conv_2d_int16(const sm_depthwise_conv_2d_int16_params *p,
                                          const int16_t *input, int16_t *output) {
  const int32_t out_c = p->in_c * p->depth_multiplier;
  const int32_t step = p->dilation_w * p->in_c;
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    const int32_t ky_begin = sm_window_begin(y0, p->dilation_h);
    const int32_t ky_end = sm_window_end(y0, p->dilation_h, p->kernel_h, p->in_h);
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int32_t kx_begin = sm_window_begin(x0, p->dilation_w);
      const int32_t kx_end = sm_window_end(x0, p->dilation_w, p->kernel_w, p->in_w);
      int32_t oc = 0;
      for (int32_t c = 0; c < p->in_c; ++c) {
        for (int32_t m = 0; m < p->depth_multiplier; ++m, ++oc) {
          int64_t total = 0;
          for (int32_t ky = ky_begin; ky < ky_end; ++ky) {
            const int32_t y = y0 + ky * p->dilation_h;
            const int16_t *x = input + (y * p->in_w + x0) * p->in_c + kx_begin * step + c;
            const int8_t *w = p->weights + (ky * p->kernel_w + kx_begin) * out_c + oc;
            int32_t sum = 0;
            for (int32_t left = kx_end - kx_begin; left > 0; --left, x += step, w += out_c) {
              sum += *x * *w;
            }
            total += sum;
          }
          *output++ = sm_depthwise_output_int16(p, total, oc);
        }
      }
    }
  }
}

#endif
