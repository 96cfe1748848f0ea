/* DEPTHWISE_CONV_2D, int8, of models that were uint8: the weights have a zero point. */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_OFFSET_H
#define SM_DEPTHWISE_CONV_2D_INT8_OFFSET_H

#include "common.h"
#include "requantize.h"
#include "window.h"

/* As sm_depthwise_conv_2d_int8_params; weight_offset: minus the zero point of the weights, -127 to
 * 128. Accumulators must fit int32: kernel_h * kernel_w up to 32,000. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t depth_multiplier;
  int32_t input_offset, output_offset, weight_offset;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* for each output channel */
  const int8_t *weights;
} sm_depthwise_conv_2d_int8_offset_params;

/* Pixels and their channels are computed in order, each from its own channel of the window: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_depthwise_conv_2d_int8_offset(const sm_depthwise_conv_2d_int8_offset_params *p,
                                                const int8_t *input, int8_t *output) {
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
          int32_t acc = p->bias ? p->bias[oc] : 0;
          for (int32_t ky = ky_begin; ky < ky_end; ++ky) {
            const int32_t in = ((y0 + ky * p->dilation_h) * p->in_w + x0) * p->in_c + c;
            const int8_t *w = p->weights + ky * p->kernel_w * out_c + oc;
            for (int32_t kx = kx_begin; kx < kx_end; ++kx) {
              acc += (input[in + kx * step] + p->input_offset) * (w[kx * out_c] + p->weight_offset);
            }
          }
          acc = sm_requantize(acc, p->multiplier[oc], p->shift[oc]) + p->output_offset;
          *output++ = (int8_t)sm_clamp(acc, p->act_min, p->act_max);
        }
      }
    }
  }
}

#endif
