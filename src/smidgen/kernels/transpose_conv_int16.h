/* TRANSPOSE_CONV, int16 with int8 weights: any window and stride. */
#ifndef SM_TRANSPOSE_CONV_INT16_H
#define SM_TRANSPOSE_CONV_INT16_H

#include "dot_int16.h"
#include "layer_int16.h"

/* Shapes are channels-last; weights are (out_c, kernel_h, kernel_w, in_c). pad_h, pad_w: rows and
 * columns of the windows that lie above and to the left of the output. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t wide;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* see layer_int16.h */
  const int64_t *wide_bias;
  const int8_t *weights;
} sm_transpose_conv_int16_params;

/* See sm_transpose_conv_int8 for which input pixels make an output pixel. */
SM_KERNEL void sm_transpose_conv_int16(const sm_transpose_conv_int16_params *p,
                                       const int16_t *input, int16_t *output) {
  for (int32_t oy = p->pad_h; oy < p->out_h + p->pad_h; ++oy) {
    for (int32_t ox = p->pad_w; ox < p->out_w + p->pad_w; ++ox) {
      const int8_t *weights = p->weights;
      for (int32_t oc = 0; oc < p->out_c; ++oc, weights += p->kernel_h * p->kernel_w * p->in_c) {
        int64_t acc = sm_bias_int16(p->bias, p->wide_bias, oc);
        int32_t y = oy / p->stride_h;
        for (int32_t ky = oy % p->stride_h; ky < p->kernel_h; ky += p->stride_h, --y) {
          int32_t x = ox / p->stride_w;
          for (int32_t kx = ox % p->stride_w; kx < p->kernel_w; kx += p->stride_w, --x) {
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue;
            }
            acc += sm_dot_int16(input + (y * p->in_w + x) * p->in_c,
                                weights + (ky * p->kernel_w + kx) * p->in_c, p->in_c);
          }
        }
        const int32_t scaled = sm_scale_int16(acc, p->multiplier[oc], p->shift[oc], p->wide);
        *output++ = (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
      }
    }
  }
}

#endif
