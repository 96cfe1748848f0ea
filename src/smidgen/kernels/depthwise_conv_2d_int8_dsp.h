/* DEPTHWISE_CONV_2D, int8, for cores with DSP instructions: any window and stride, no dilation,
 * depth multiplier 1. */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_DSP_H
#define SM_DEPTHWISE_CONV_2D_INT8_DSP_H

#include "depthwise_dsp.h"

/* For each line of the window and each word of values that it may lie on, two words of weights: for
 * windows that begin with the first value of a word, and for those that begin with the second. */
static SM_PART void sm_depthwise_any(const sm_depthwise_call *call,
                                     const sm_depthwise_dsp_params *p) {
  const int32_t pitch = 4 * p->rows;
  const int32_t apart = p->stride / 2 * pitch; /* words between windows of a pair, */
  const int32_t odd = p->stride % 2 * 4;       /* and weights, if the other begins inside of one */
  for (int32_t channel = 0; channel < call->channels; ++channel) {
    const uint32_t *column = call->tile + channel;
    int8_t *out = call->out + channel;
    for (int32_t pair = 0; pair < call->pairs; ++pair) {
      const uint32_t *first = column;
      for (int32_t line = 0; line < call->lines; ++line) {
        const uint32_t *w = call->weights + channel;
        const uint32_t *row = first;
        int32_t a = call->factors[2 * channel], b = a;
        for (int32_t i = 0; i < p->window_lines; ++i) {
          const uint32_t *x = row;
          for (int32_t j = 0; j < p->window_words; ++j) {
            a = sm_smlad(x[0], w[0], a);
            b = sm_smlad(x[apart], w[odd], b);
            x += pitch;
            w += 8;
          }
          row += 4;
        }
        out[8 * line] = (int8_t)sm_depthwise_output(call, p->exact, channel, a);
        out[8 * line + 4] = (int8_t)sm_depthwise_output(call, p->exact, channel, b);
        first += 4 * p->line_stride;
      }
      column += p->stride * pitch;
      out += 8 * p->out_rows;
    }
  }
}

SM_KERNEL void sm_depthwise_conv_2d_int8_dsp(const sm_depthwise_dsp_params *p, const int8_t *input,
                                             int8_t *output, void *scratch) {
  sm_depthwise_run(p, input, output, scratch, sm_depthwise_any);
}

#endif
