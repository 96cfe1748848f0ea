/* TRANSPOSE_CONV, float32: any window and stride. */
#ifndef SM_TRANSPOSE_CONV_FLOAT32_H
#define SM_TRANSPOSE_CONV_FLOAT32_H

#include "common.h"

/* Shapes are channels-last; weights are (out_c, kernel_h, kernel_w, in_c). pad_h, pad_w: rows and
 * columns of the windows that lie above and to the left of the output. bias may be NULL. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  float act_min, act_max;
  const float *bias;
  const float *weights;
} sm_transpose_conv_float32_params;

/* See sm_transpose_conv_int8 for which input pixels make an output pixel. */
SM_KERNEL void sm_transpose_conv_float32(const sm_transpose_conv_float32_params *p,
                                         const float *input, float *output) {
  for (int32_t oy = p->pad_h; oy < p->out_h + p->pad_h; ++oy) {
    for (int32_t ox = p->pad_w; ox < p->out_w + p->pad_w; ++ox) {
      const float *weights = p->weights;
      for (int32_t oc = 0; oc < p->out_c; ++oc, weights += p->kernel_h * p->kernel_w * p->in_c) {
        float acc = 0.0f;
        int32_t y = oy / p->stride_h;
        for (int32_t ky = oy % p->stride_h; ky < p->kernel_h; ky += p->stride_h, --y) {
          int32_t x = ox / p->stride_w;
          for (int32_t kx = ox % p->stride_w; kx < p->kernel_w; kx += p->stride_w, --x) {
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue;
            }
            const float *in = input + (y * p->in_w + x) * p->in_c;
            const float *w = weights + (ky * p->kernel_w + kx) * p->in_c;
            for (int32_t c = 0; c < p->in_c; ++c) {
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
