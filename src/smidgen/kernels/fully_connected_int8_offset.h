/* FULLY_CONNECTED, int8, of models that were uint8: the weights have a zero point. */
#ifndef SM_FULLY_CONNECTED_INT8_OFFSET_H
#define SM_FULLY_CONNECTED_INT8_OFFSET_H

#include "common.h"
#include "requantize.h"

/* As sm_fully_connected_int8_params; weight_offset: minus the zero point of the weights, -127 to
 * 128. Accumulators must fit int32: in_c up to 32,000. */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t scale_step; /* 1: a multiplier and a shift for each output; 0: one of each for all */
  int32_t input_offset, output_offset, weight_offset;
  int32_t act_min, act_max;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *bias; /* for each output */
  const int8_t *weights;
} sm_fully_connected_int8_offset_params;

/* The zero point's part is the same for all outputs of a row: weight_offset times the row's sum.
 * Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int8_offset(const sm_fully_connected_int8_offset_params *p,
                                              const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    int32_t sum = 0;
    for (int32_t c = 0; c < p->in_c; ++c) {
      sum += input[c] + p->input_offset;
    }
    const int8_t *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c; ++oc, w += p->in_c) {
      const int32_t scale = oc * p->scale_step;
      int32_t acc = p->weight_offset * sum + (p->bias ? p->bias[oc] : 0);
      for (int32_t c = 0; c < p->in_c; ++c) {
        acc += (input[c] + p->input_offset) * w[c];
      }
      acc = sm_requantize(acc, p->multiplier[scale], p->shift[scale]) + p->output_offset;
      *output++ = (int8_t)sm_clamp(acc, p->act_min, p->act_max);
    }
  }
}

#endif
