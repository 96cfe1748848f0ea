/* DEPTHWISE_CONV_2D, int8, for cores with DSP instructions: any window and stride, no dilation,
 * depth multiplier 1. */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_DSP_H
#define SM_DEPTHWISE_CONV_2D_INT8_DSP_H

#include "depthwise_dsp.h"

/* The sums of a pair of windows, and where the next words are: of the one window, of the other one,
 * and of weights. */
typedef struct {
  int32_t a, b;
  const uint32_t *x, *y, *w;
} sm_depthwise_pair_sums;

/* Adds one word's products. odd: 4 if the other window begins with the second value of a word. */
SM_DSP void sm_depthwise_word(sm_depthwise_pair_sums *sums, int32_t pitch, int32_t odd) {
  const uint32_t x = *sums->x, y = *sums->y, u = sums->w[0], v = sums->w[odd];
  sums->a = sm_smlad(x, u, sums->a);
  sums->b = sm_smlad(y, v, sums->b);
  sums->x += pitch;
  sums->y += pitch;
  sums->w += 8;
}

/* For each line of the window and each word of values that it may lie on, two words of weights: for
 * windows that begin with the first value of a word, and for those that begin with the second.
 * words: of each line, a literal for the usual ones. */
SM_DSP void sm_depthwise_any_words(const sm_depthwise_call *call, const sm_depthwise_dsp_params *p,
                                   int32_t words) {
  const int32_t pitch = 4 * p->rows;
  const int32_t back = 4 - words * pitch;
  const int32_t apart = p->stride / 2 * pitch; /* words between windows of a pair */
  const int32_t odd = p->stride % 2 * 4;
  for (int32_t channel = 0; channel < call->channels; ++channel) {
    const uint32_t *column = call->tile + channel;
    int8_t *out = call->out + channel;
    for (int32_t pair = 0; pair < call->pairs; ++pair) {
      const uint32_t *first = column;
      for (int32_t line = 0; line < call->lines; ++line) {
        sm_depthwise_pair_sums sums;
        sums.a = sums.b = call->factors[2 * channel];
        sums.x = first;
        sums.y = first + apart;
        sums.w = call->weights + channel;
        for (int32_t i = p->window_lines; i > 0; --i) {
          int32_t left = words;
          if (words > 1 && words < 5) { /* without a loop */
            sm_depthwise_word(&sums, pitch, odd);
            sm_depthwise_word(&sums, pitch, odd);
            if (words > 2) {
              sm_depthwise_word(&sums, pitch, odd);
            }
            if (words > 3) {
              sm_depthwise_word(&sums, pitch, odd);
            }
            left = 0;
          }
          for (; left > 0; --left) {
            sm_depthwise_word(&sums, pitch, odd);
          }
          sums.x += back;
          sums.y += back;
        }
        out[8 * line] = (int8_t)sm_depthwise_output(call, p->exact, channel, sums.a);
        out[8 * line + 4] = (int8_t)sm_depthwise_output(call, p->exact, channel, sums.b);
        first += 4 * p->line_stride;
      }
      column += p->stride * pitch;
      out += 8 * p->out_rows;
    }
  }
}

static SM_PART void sm_depthwise_any(const sm_depthwise_call *call,
                                     const sm_depthwise_dsp_params *p) {
  switch (p->window_words) {
  case 2:
    sm_depthwise_any_words(call, p, 2);
    break;
  case 3:
    sm_depthwise_any_words(call, p, 3);
    break;
  case 4:
    sm_depthwise_any_words(call, p, 4);
    break;
  default:
    sm_depthwise_any_words(call, p, p->window_words);
  }
}

SM_KERNEL void sm_depthwise_conv_2d_int8_dsp(const sm_depthwise_dsp_params *p, const int8_t *input,
                                             int8_t *output, void *scratch) {
  sm_depthwise_run(p, input, output, scratch, sm_depthwise_any);
}

#endif
