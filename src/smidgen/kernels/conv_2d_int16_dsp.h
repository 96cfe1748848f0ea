/* CONV_2D, int16 with int8 weights, with DSP instructions: two pixels and two outputs at a time. */
#ifndef SM_CONV_2D_INT16_DSP_H
#define SM_CONV_2D_INT16_DSP_H

#include "gemm_int16_dsp.h"
#include "layer_int16.h"

/* One group; the sums of the products of a channel fit 32 bits. taps: of a window, filled up to a
 * multiple of 4. weights: see gemm_int16_dsp.h. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t out_c, taps;
  int32_t wide;
  int32_t act_min, act_max;
  const int32_t *multiplier; /* for each output channel */
  const int8_t *shift;       /* for each output channel */
  const int32_t *bias;       /* see layer_int16.h */
  const int64_t *wide_bias;
  const int8_t *weights;
} sm_conv_2d_int16_dsp_params;

/* Copies the window of a pixel, its padding and what fills it up being zeros. */
static SM_PART void sm_conv_2d_gather_int16(const sm_conv_2d_int16_dsp_params *p,
                                            const int16_t *input, int32_t pixel, int16_t *window) {
  const int32_t y0 = pixel / p->out_w * p->stride_h - p->pad_h;
  const int32_t x0 = pixel % p->out_w * p->stride_w - p->pad_w;
  int16_t *to = window;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    const int32_t y = y0 + ky * p->dilation_h;
    for (int32_t kx = 0; kx < p->kernel_w; ++kx, to += p->in_c) {
      const int32_t x = x0 + kx * p->dilation_w;
      if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
        memset(to, 0, (size_t)p->in_c * 2);
      } else {
        sm_copy_bytes_down((uint8_t *)to, (const uint8_t *)(input + (y * p->in_w + x) * p->in_c),
                           2 * p->in_c);
      }
    }
  }
  for (; to < window + p->taps; ++to) {
    *to = 0;
  }
}

/* The output of a sum. */
static inline int16_t sm_conv_2d_output_int16(const sm_conv_2d_int16_dsp_params *p, int32_t sum,
                                              int32_t oc) {
  const int64_t acc = sm_bias_int16(p->bias, p->wide_bias, oc) + sum;
  const int32_t scaled = sm_scale_int16(acc, p->multiplier[oc], p->shift[oc], p->wide);
  return (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
}

/* scratch: the windows of two pixels, 4 * taps bytes. Both are read before their pixels are
 * written: the output may lie over the input as far as windows allow (see block_lead). */
SM_KERNEL void sm_conv_2d_int16_dsp(const sm_conv_2d_int16_dsp_params *p, const int16_t *input,
                                    int16_t *output, int16_t *scratch) {
  const int32_t pixels = p->out_h * p->out_w, out_c = p->out_c;
  for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
    const int32_t both = pixel + 1 < pixels;
    sm_conv_2d_gather_int16(p, input, pixel, scratch);
    sm_conv_2d_gather_int16(p, input, pixel + both, scratch + p->taps);
    const int8_t *w = p->weights;
    int16_t *const second = output + out_c * both;
    for (int32_t oc = 0; oc < out_c; oc += 2, w += 2 * p->taps) {
      int32_t sums[4];
      sm_gemm_int16_2x2(scratch, scratch + p->taps, w, p->taps, sums);
      output[oc] = sm_conv_2d_output_int16(p, sums[0], oc);
      second[oc] = sm_conv_2d_output_int16(p, sums[1], oc);
      if (oc + 1 < out_c) {
        output[oc + 1] = sm_conv_2d_output_int16(p, sums[2], oc + 1);
        second[oc + 1] = sm_conv_2d_output_int16(p, sums[3], oc + 1);
      }
    }
    output = second + out_c;
  }
}

#endif
