/* SOFTMAX over the last axis, float32. */
#ifndef SM_SOFTMAX_FLOAT32_H
#define SM_SOFTMAX_FLOAT32_H

#include "common.h"
#include "math_exp.h"

typedef struct {
  int32_t rows, depth;
  float beta;
} sm_softmax_float32_params;

/* May compute in place. */
SM_KERNEL void sm_softmax_float32(const sm_softmax_float32_params *p, const float *input,
                                  float *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    float max = input[0];
    for (int32_t c = 1; c < p->depth; ++c) {
      max = input[c] > max ? input[c] : max;
    }
    float sum = 0.0f;
    for (int32_t c = 0; c < p->depth; ++c) {
      output[c] = sm_exp((input[c] - max) * p->beta);
      sum += output[c];
    }
    for (int32_t c = 0; c < p->depth; ++c) {
      output[c] /= sum;
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
