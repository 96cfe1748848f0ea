/* FULLY_CONNECTED, int8: every row of the input times the weights. */
#ifndef SM_FULLY_CONNECTED_INT8_H
#define SM_FULLY_CONNECTED_INT8_H

#include "common.h"
#include "requantize.h"

/* The input is (rows, in_c), the weights (out_c, in_c), the output (rows, out_c).
 * input_offset: minus the input's zero point, -127 to 128. Accumulators must fit int32: in_c up
 * to 65,000. bias may be NULL. */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t scale_step; /* 1: a multiplier and a shift for each output; 0: one of each for all */
  int32_t input_offset, output_offset;
  int32_t act_min, act_max;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *bias; /* for each output */
  const int8_t *weights;
} sm_fully_connected_int8_params;

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int8(const sm_fully_connected_int8_params *p, const int8_t *input,
                                       int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    const int8_t *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c; ++oc, w += p->in_c) {
      const int32_t scale = oc * p->scale_step;
      int32_t acc = p->bias ? p->bias[oc] : 0;
      for (int32_t c = 0; c < p->in_c; ++c) {
        acc += (input[c] + p->input_offset) * w[c];
      }
      acc = sm_requantize(acc, p->multiplier[scale], p->shift[scale]) + p->output_offset;
      *output++ = (int8_t)sm_clamp(acc, p->act_min, p->act_max);
    }
  }
}

#endif
