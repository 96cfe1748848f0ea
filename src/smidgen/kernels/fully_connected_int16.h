/* FULLY_CONNECTED, int16 with int8 weights: every row of the input times the weights. */
#ifndef SM_FULLY_CONNECTED_INT16_H
#define SM_FULLY_CONNECTED_INT16_H

#include "dot_int16.h"
#include "layer_int16.h"

/* The input is (rows, in_c), the weights (out_c, in_c), the output (rows, out_c). */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t scale_step; /* 1: a multiplier and a shift for each output; 0: one of each for all */
  int32_t wide;
  int32_t act_min, act_max;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *bias; /* for each output; see layer_int16.h */
  const int64_t *wide_bias;
  const int8_t *weights;
} sm_fully_connected_int16_params;

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int16(const sm_fully_connected_int16_params *p,
                                        const int16_t *input, int16_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    const int8_t *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c; ++oc, w += p->in_c) {
      const int32_t scale = oc * p->scale_step;
      const int64_t acc =
          sm_bias_int16(p->bias, p->wide_bias, oc) + sm_dot_int16(input, w, p->in_c);
      const int32_t scaled = sm_scale_int16(acc, p->multiplier[scale], p->shift[scale], p->wide);
      *output++ = (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
    }
  }
}

#endif
