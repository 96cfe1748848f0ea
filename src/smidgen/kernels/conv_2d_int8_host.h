/* CONV_2D, int8, for the machine that compiles: any window, stride and dilation, one group. */
#ifndef SM_CONV_2D_INT8_HOST_H
#define SM_CONV_2D_INT8_HOST_H

#include "common.h"
#include "host.h"

/* weights: (blocks of 16 channels, pairs of a window's values, channels, 2). bias, multiplier and
 * halvings: see host.h; the input's zero point, which `padding` is, is folded into the bias. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_w, pixels; /* pixels: of the output */
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t pairs; /* of the values of a window */
  int32_t out_c;
  int32_t padding, output_offset;
  int32_t act_min, act_max;
  const int32_t *bias, *multiplier, *halvings;
  const int16_t *weights;
} sm_conv_2d_int8_host_params;

/* The values of one window. */
static inline void sm_conv_2d_int8_host_window(const sm_conv_2d_int8_host_params *p,
                                               const int8_t *input, int32_t y0, int32_t x0,
                                               int16_t *to) {
  const int32_t in_c = p->in_c, row = p->kernel_w * in_c;
  const int32_t whole = x0 >= 0 && x0 + p->kernel_w <= p->in_w && p->dilation_w == 1;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky, to += row) {
    const int32_t y = y0 + ky * p->dilation_h;
    const int32_t inside = y >= 0 && y < p->in_h;
    if (inside && whole) {
      const int8_t *from = input + (y * p->in_w + x0) * in_c;
      for (int32_t i = 0; i < row; ++i) {
        to[i] = from[i];
      }
      continue;
    }
    for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
      const int32_t x = x0 + kx * p->dilation_w;
      const int8_t *from = input + (y * p->in_w + x) * in_c;
      for (int32_t i = 0; i < in_c; ++i) {
        to[kx * in_c + i] = inside && x >= 0 && x < p->in_w ? from[i] : (int16_t)p->padding;
      }
    }
  }
}

/* scratch, aligned to 4: 16 * pairs bytes. Four pixels are read fully before any of them is
 * written, otherwise in order: `output` may lie over `input` as far as this allows (see
 * block_lead). */
SM_KERNEL void sm_conv_2d_int8_host(const sm_conv_2d_int8_host_params *p, const int8_t *input,
                                    int8_t *output, void *scratch) {
  int16_t *const values = scratch;
  const sm_host_scale scale = {p->bias,          p->multiplier, p->halvings,
                               p->output_offset, p->act_min,    p->act_max};
  memset(values, 0, 16u * (size_t)p->pairs); /* the last of an odd number stays */
  int32_t ox = 0, y = -p->pad_h, x = -p->pad_w;
  for (int32_t left = p->pixels; left > 0; left -= SM_HOST_PIXELS) {
    const int32_t pixels = left < SM_HOST_PIXELS ? left : SM_HOST_PIXELS;
    for (int32_t i = 0; i < pixels; ++i) {
      sm_conv_2d_int8_host_window(p, input, y, x, values + 2 * p->pairs * i);
      x += p->stride_w;
      if (++ox == p->out_w) {
        ox = 0;
        x = -p->pad_w;
        y += p->stride_h;
      }
    }
    const int16_t *weights = p->weights;
    for (int32_t oc = 0; oc < p->out_c; oc += SM_HOST_CHANNELS) {
      int32_t sums[SM_HOST_PIXELS][SM_HOST_CHANNELS];
      sm_host_sums(values, weights, p->pairs, sums);
      weights += 2 * SM_HOST_CHANNELS * p->pairs;
      for (int32_t i = 0; i < pixels; ++i) {
        sm_host_outputs(&scale, oc, sums[i], p->out_c - oc, output + i * p->out_c + oc);
      }
    }
    output += pixels * p->out_c;
  }
}

#endif
