/* TRANSPOSE_CONV, int8: any window and stride. */
#ifndef SM_TRANSPOSE_CONV_INT8_H
#define SM_TRANSPOSE_CONV_INT8_H

#include "common.h"
#include "requantize.h"

/* Shapes are channels-last; weights are (out_c, kernel_h, kernel_w, in_c). pad_h, pad_w: rows and
 * columns of the windows that lie above and to the left of the output.
 * input_offset: minus the input's zero point, -127 to 128. Accumulators must fit int32:
 * kernel_h * kernel_w * in_c up to 65,000. bias may be NULL. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t input_offset, output_offset;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* for each output channel */
  const int8_t *weights;
} sm_transpose_conv_int8_params;

/* A row of the output gets row ky of the windows from the input row y with
 * y * stride_h + ky = oy + pad_h: every stride_h-th ky, for which y falls by one. */
SM_KERNEL void sm_transpose_conv_int8(const sm_transpose_conv_int8_params *p, const int8_t *input,
                                      int8_t *output) {
  for (int32_t oy = p->pad_h; oy < p->out_h + p->pad_h; ++oy) {
    for (int32_t ox = p->pad_w; ox < p->out_w + p->pad_w; ++ox) {
      const int8_t *weights = p->weights;
      for (int32_t oc = 0; oc < p->out_c; ++oc, weights += p->kernel_h * p->kernel_w * p->in_c) {
        int32_t acc = p->bias ? p->bias[oc] : 0;
        int32_t y = oy / p->stride_h;
        for (int32_t ky = oy % p->stride_h; ky < p->kernel_h; ky += p->stride_h, --y) {
          int32_t x = ox / p->stride_w;
          for (int32_t kx = ox % p->stride_w; kx < p->kernel_w; kx += p->stride_w, --x) {
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue;
            }
            const int8_t *in = input + (y * p->in_w + x) * p->in_c;
            const int8_t *w = weights + (ky * p->kernel_w + kx) * p->in_c;
            for (int32_t c = 0; c < p->in_c; ++c) {
              acc += (in[c] + p->input_offset) * w[c];
            }
          }
        }
        acc = sm_requantize(acc, p->multiplier[oc], p->shift[oc]) + p->output_offset;
        *output++ = (int8_t)sm_clamp(acc, p->act_min, p->act_max);
      }
    }
  }
}

#endif
