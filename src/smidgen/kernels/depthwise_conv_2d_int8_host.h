/* DEPTHWISE_CONV_2D, int8, for the machine that compiles: a depth multiplier of 1. */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_HOST_H
#define SM_DEPTHWISE_CONV_2D_INT8_HOST_H

#include "common.h"
#include "host.h"
#include "window.h"

/* weights: (blocks of 16 channels, kernel_h, kernel_w, 16). bias, multiplier and halvings: see
 * host.h. input_offset: minus the input's zero point; padding adds nothing. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t input_offset, output_offset;
  int32_t act_min, act_max;
  const int32_t *bias, *multiplier, *halvings;
  const int16_t *weights;
} sm_depthwise_conv_2d_int8_host_params;

/* Adds the products of n channels, at most a block; each fits 16 bits. */
static inline void sm_depthwise_conv_2d_int8_host_add(int32_t *sums, const int8_t *x,
                                                      const int16_t *weights, int16_t offset,
                                                      int32_t n) {
  for (int32_t i = 0; i < n; ++i) {
    sums[i] += (int16_t)((x[i] + offset) * weights[i]);
  }
}

/* Pixels are computed in order, each from its own channels of the window: the output may lie over
 * the input as far as the window allows (see window_lead). */
SM_KERNEL void sm_depthwise_conv_2d_int8_host(const sm_depthwise_conv_2d_int8_host_params *p,
                                              const int8_t *input, int8_t *output) {
  const sm_host_scale scale = {p->bias,          p->multiplier, p->halvings,
                               p->output_offset, p->act_min,    p->act_max};
  const int16_t offset = (int16_t)p->input_offset;
  const int32_t step = p->dilation_w * p->in_c, block = p->kernel_h * p->kernel_w;
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    const int32_t ky_begin = sm_window_begin(y0, p->dilation_h);
    const int32_t ky_end = sm_window_end(y0, p->dilation_h, p->kernel_h, p->in_h);
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int32_t kx_begin = sm_window_begin(x0, p->dilation_w);
      const int32_t kx_end = sm_window_end(x0, p->dilation_w, p->kernel_w, p->in_w);
      const int16_t *weights = p->weights;
      for (int32_t c = 0; c < p->in_c; c += SM_HOST_CHANNELS) {
        const int32_t n = p->in_c - c;
        int32_t sums[SM_HOST_CHANNELS] = {0};
        for (int32_t ky = ky_begin; ky < ky_end; ++ky) {
          const int32_t row = ((y0 + ky * p->dilation_h) * p->in_w + x0) * p->in_c + c;
          const int16_t *w = weights + ky * p->kernel_w * SM_HOST_CHANNELS;
          for (int32_t kx = kx_begin; kx < kx_end; ++kx) {
            const int8_t *x = input + row + kx * step;
            if (n >= SM_HOST_CHANNELS) {
              sm_depthwise_conv_2d_int8_host_add(sums, x, w + kx * SM_HOST_CHANNELS, offset,
                                                 SM_HOST_CHANNELS);
            } else {
              sm_depthwise_conv_2d_int8_host_add(sums, x, w + kx * SM_HOST_CHANNELS, offset, n);
            }
          }
        }
        sm_host_outputs(&scale, c, sums, n, output);
        output += n < SM_HOST_CHANNELS ? n : SM_HOST_CHANNELS;
        weights += block * SM_HOST_CHANNELS;
      }
    }
  }
}

#endif
