/* CONV_2D, int8, for cores with the DSP instructions: windows of one pixel, channels in fours, so
 * that the image is one run of bytes. */
#ifndef SM_CONV_2D_INT8_PAIRED_1X1_H
#define SM_CONV_2D_INT8_PAIRED_1X1_H

#include "common.h"
#include "conv_2d_paired.h"
#include "dsp.h"

/* scratch, aligned to 4: 4 * in_c bytes for each of `pairs` pairs. Those are read fully before any
 * output is written, otherwise in order: `output` may lie over `input` as far as this allows (see
 * block_lead). */
SM_KERNEL void sm_conv_2d_int8_paired_1x1(const sm_conv_2d_paired_params *p, const int8_t *input,
                                          int8_t *output, void *scratch) {
  int8_t *const first = output;
  const int32_t c = p->in_c, most = 2 * p->pairs;
  int32_t pixels = most;
  for (int32_t left = p->out_h * p->out_w; left > 0; left -= pixels) {
    uint32_t *to = scratch;
    pixels = left < most ? left : most;
    for (int32_t i = 0; i < pixels; i += 2) {
      const int8_t *other = i + 1 < pixels ? input + c : input;
      int32_t n = c;
      for (; n >= 8; n -= 8, input += 8, other += 8, to += 8) {
        const uint32_t a = sm_load32(input), b = sm_load32(input + 4);
        const uint32_t d = sm_load32(other), e = sm_load32(other + 4);
        to[0] = sm_sxtb16(a);
        to[1] = sm_sxtb16(d);
        to[2] = sm_sxtb16_ror8(a);
        to[3] = sm_sxtb16_ror8(d);
        to[4] = sm_sxtb16(b);
        to[5] = sm_sxtb16(e);
        to[6] = sm_sxtb16_ror8(b);
        to[7] = sm_sxtb16_ror8(e);
      }
      if (n > 0) {
        const uint32_t a = sm_load32(input), d = sm_load32(other);
        to[0] = sm_sxtb16(a);
        to[1] = sm_sxtb16(d);
        to[2] = sm_sxtb16_ror8(a);
        to[3] = sm_sxtb16_ror8(d);
        other += 4;
        to += 4;
      }
      input = other;
    }
    output = sm_conv_2d_outputs(p, scratch, 4 * c, pixels, output);
  }
  sm_conv_2d_limit(p, first);
}

#endif
