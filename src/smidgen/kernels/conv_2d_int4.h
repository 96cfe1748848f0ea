/* CONV_2D, int8 with int4 weights: any stride, dilation, padding and number of groups. */
#ifndef SM_CONV_2D_INT4_H
#define SM_CONV_2D_INT4_H

#include "common.h"
#include "conv_2d_int8.h"
#include "int4.h"
#include "requantize.h"

/* p->weights are (out_c, kernel_h, kernel_w, group_in_c), two to a byte. Otherwise this is
 * sm_conv_2d_int8, overlap included. */
SM_KERNEL void sm_conv_2d_int4(const sm_conv_2d_int8_params *p, const int8_t *input,
                               int8_t *output) {
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      int32_t w = 0; /* number of the tap's first weight */
      for (int32_t oc = 0; oc < p->out_c; ++oc) {
        const int32_t first_c = oc / p->group_out_c * p->group_in_c;
        int32_t acc = p->bias ? p->bias[oc] : 0;
        for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
          const int32_t y = y0 + ky * p->dilation_h;
          for (int32_t kx = 0; kx < p->kernel_w; ++kx, w += p->group_in_c) {
            const int32_t x = x0 + kx * p->dilation_w;
            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) {
              continue; /* padding counts as the zero point: nothing to add */
            }
            const int8_t *in = input + (y * p->in_w + x) * p->in_c + first_c;
            acc = sm_int4_dot(acc, in, p->input_offset, p->weights, w, p->group_in_c);
          }
        }
        acc = sm_requantize(acc, p->multiplier[oc], p->shift[oc]) + p->output_offset;
        *output++ = (int8_t)sm_clamp(acc, p->act_min, p->act_max);
      }
    }
  }
}

#endif
