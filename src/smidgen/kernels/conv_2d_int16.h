/* CONV_2D, int16 with int8 weights: any stride, dilation, padding and number of groups. */
#ifndef SM_CONV_2D_INT16_H
#define SM_CONV_2D_INT16_H

#include "dot_int16.h"
#include "layer_int16.h"

/* Shapes are channels-last; weights are (out_c, kernel_h, kernel_w, group_in_c). */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t out_c, group_in_c, group_out_c;
  int32_t wide;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* see layer_int16.h */
  const int64_t *wide_bias;
  const int8_t *weights;
} sm_conv_2d_int16_params;

/* Pixels are computed in order and each window is read before its pixel is written: the output
 * may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_conv_2d_int16(const sm_conv_2d_int16_params *p, const int16_t *input,
                                int16_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int8_t *w = p->weights;
      for (int32_t oc = 0; oc < p->out_c; ++oc) {
        const int32_t first_c = oc / p->group_out_c * p->group_in_c;
        int64_t acc = sm_bias_int16(p->bias, p->wide_bias, oc);
        for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
          const int32_t y = y0 + ky * p->dilation_h;
          for (int32_t kx = 0; kx < p->kernel_w; ++kx, w += p->group_in_c) {
            const int32_t x = x0 + kx * p->dilation_w;
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue; /* padding is zero */
            }
            acc += sm_dot_int16(input + (y * p->in_w + x) * p->in_c + first_c, w, p->group_in_c);
          }
        }
        const int32_t scaled = sm_scale_int16(acc, p->multiplier[oc], p->shift[oc], p->wide);
        *output++ = (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
      }
    }
  }
}

#endif
