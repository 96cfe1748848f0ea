/* DEPTHWISE_CONV_2D, int16 with int8 weights, with DSP instructions: four channels at a time. */
#ifndef SM_DEPTHWISE_CONV_2D_INT16_DSP_H
#define SM_DEPTHWISE_CONV_2D_INT16_DSP_H

#include "depthwise_conv_2d_int16.h"
#include "dsp.h"

/* A depth multiplier of 1 and channels that are a multiple of 4; windows of up to 511 positions,
 * for sums to fit 32 bits. Weights of four channels are a word with bytes 0, 2, 1, 3: every second
 * byte of it, sign-extended, is a pair of weights like the pairs of neighbouring activations. */
SM_KERNEL void sm_depthwise_conv_2d_int16_dsp(const sm_depthwise_conv_2d_int16_params *p,
                                              const int16_t *input, int16_t *output) {
  const int32_t channels = p->in_c, step = p->dilation_w * channels;
  for (int32_t oy = 0; oy < p->out_h; ++oy) {
    const int32_t y0 = oy * p->stride_h - p->pad_h;
    const int32_t ky_begin = sm_window_begin(y0, p->dilation_h);
    const int32_t ky_end = sm_window_end(y0, p->dilation_h, p->kernel_h, p->in_h);
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
      const int32_t x0 = ox * p->stride_w - p->pad_w;
      const int32_t kx_begin = sm_window_begin(x0, p->dilation_w);
      const int32_t kx_end = sm_window_end(x0, p->dilation_w, p->kernel_w, p->in_w);
      for (int32_t c = 0; c < channels; c += 4) {
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (int32_t ky = ky_begin; ky < ky_end; ++ky) {
          const int32_t y = y0 + ky * p->dilation_h;
          const int16_t *x = input + (y * p->in_w + x0) * channels + kx_begin * step + c;
          const int8_t *w = p->weights + (ky * p->kernel_w + kx_begin) * channels + c;
          for (int32_t left = kx_end - kx_begin; left > 0; --left, x += step, w += channels) {
            const uint32_t word = sm_load32(w), low = sm_load32(x), high = sm_load32(x + 2);
            const uint32_t first = sm_sxtb16(word), last = sm_sxtb16_ror8(word);
            s0 = sm_smlabb(low, first, s0);
            s1 = sm_smlatt(low, first, s1);
            s2 = sm_smlabb(high, last, s2);
            s3 = sm_smlatt(high, last, s3);
          }
        }
        const int32_t sums[4] = {s0, s1, s2, s3};
        for (int32_t i = 0; i < 4; ++i) {
          *output++ = sm_depthwise_output_int16(p, sums[i], c + i);
        }
      }
    }
  }
}

#endif
