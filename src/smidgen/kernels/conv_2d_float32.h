/* CONV_2D, float32: any stride, dilation, padding and number of groups. */
#ifndef SM_CONV_2D_FLOAT32_H
#define SM_CONV_2D_FLOAT32_H

#include "common.h"

/* Shapes are channels-last; weights are (out_c, kernel_h, kernel_w, group_in_c); bias may be NULL.
 */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t out_c, group_in_c, group_out_c;
  float act_min, act_max;
  const float *bias;
  const float *weights;
} sm_conv_2d_float32_params;

/* Pixels are computed in order, each window read before its pixel is written. */
SM_KERNEL void sm_conv_2d_float32(const sm_conv_2d_float32_params *p, const float *input,
                                  float *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const float *w = p->weights;
      for (int32_t oc = 0; oc < p->out_c; ++oc) {
        const int32_t first_c = oc / p->group_out_c * p->group_in_c;
        float acc = 0.0f;
        for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
          const int32_t y = y0 + ky * p->dilation_h;
          for (int32_t kx = 0; kx < p->kernel_w; ++kx, w += p->group_in_c) {
            const int32_t x = x0 + kx * p->dilation_w;
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue;
            }
            const float *in = input + (y * p->in_w + x) * p->in_c + first_c;
            for (int32_t c = 0; c < p->group_in_c; ++c) {
              acc += in[c] * w[c];
            }
          }
        }
        acc += p->bias ? p->bias[oc] : 0.0f;
        acc = acc < p->act_min ? p->act_min : acc;
        *output++ = acc > p->act_max ? p->act_max : acc;
      }
    }
  }
}

#endif
