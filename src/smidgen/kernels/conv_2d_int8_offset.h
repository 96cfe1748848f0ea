/* CONV_2D, int8, of models that were uint8: the weights have a zero point. */
#ifndef SM_CONV_2D_INT8_OFFSET_H
#define SM_CONV_2D_INT8_OFFSET_H

#include "common.h"
#include "requantize.h"

/* As sm_conv_2d_int8_params; weight_offset: minus the zero point of the weights, -127 to 128.
 * Accumulators must fit int32: kernel_h * kernel_w * group_in_c up to 32,000. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t out_c, group_in_c, group_out_c;
  int32_t input_offset, output_offset, weight_offset;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* for each output channel */
  const int8_t *weights;
} sm_conv_2d_int8_offset_params;

/* The sum of the centred inputs of a group's window. */
static inline int32_t sm_conv_2d_window_sum(const sm_conv_2d_int8_offset_params *p,
                                            const int8_t *input, int32_t y0, int32_t x0) {
  int32_t sum = 0;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    const int32_t y = y0 + ky * p->dilation_h;
    for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
      const int32_t x = x0 + kx * p->dilation_w;
      if (y >= 0 && y < p->in_h && x >= 0 && x < p->in_w) {
        const int8_t *in = input + (y * p->in_w + x) * p->in_c;
        for (int32_t c = 0; c < p->group_in_c; ++c) {
          sum += in[c] + p->input_offset;
        }
      }
    }
  }
  return sum;
}

/* The zero point's part is the same for all outputs of a group: weight_offset times the window's
 * sum. Pixels are computed in order and each window is read before its pixel is written: the
 * output may lie over the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_conv_2d_int8_offset(const sm_conv_2d_int8_offset_params *p, const int8_t *input,
                                      int8_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int8_t *w = p->weights;
      int32_t offset = 0;
      for (int32_t oc = 0; oc < p->out_c; ++oc) {
        const int32_t first_c = oc / p->group_out_c * p->group_in_c;
        if (oc % p->group_out_c == 0) {
          offset = p->weight_offset * sm_conv_2d_window_sum(p, input + first_c, y0, x0);
        }
        int32_t acc = offset + (p->bias ? p->bias[oc] : 0);
        for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
          const int32_t y = y0 + ky * p->dilation_h;
          for (int32_t kx = 0; kx < p->kernel_w; ++kx, w += p->group_in_c) {
            const int32_t x = x0 + kx * p->dilation_w;
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue; /* padding counts as the zero point: nothing to add */
            }
            const int8_t *in = input + (y * p->in_w + x) * p->in_c + first_c;
            for (int32_t c = 0; c < p->group_in_c; ++c) {
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
