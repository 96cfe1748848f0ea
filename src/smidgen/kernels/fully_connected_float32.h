/* FULLY_CONNECTED, float32: every row of the input times the weights. */
#ifndef SM_FULLY_CONNECTED_FLOAT32_H
#define SM_FULLY_CONNECTED_FLOAT32_H

#include "common.h"

/* The input is (rows, in_c), the weights (out_c, in_c), the output (rows, out_c).
 * bias may be NULL. */
typedef struct {
  int32_t rows, in_c, out_c;
  float act_min, act_max;
  const float *bias; /* for each output */
  const float *weights;
} sm_fully_connected_float32_params;

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_float32(const sm_fully_connected_float32_params *p,
                                          const float *input, float *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    const float *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c; ++oc, w += p->in_c) {
      float acc = 0.0f;
      for (int32_t c = 0; c < p->in_c; ++c) {
        acc += input[c] * w[c];
      }
      acc += p->bias ? p->bias[oc] : 0.0f;
      acc = acc < p->act_min ? p->act_min : acc;
      *output++ = acc > p->act_max ? p->act_max : acc;
    }
  }
}

#endif
