/* LOG_SOFTMAX over the last axis, float32. */
#ifndef SM_LOG_SOFTMAX_FLOAT32_H
#define SM_LOG_SOFTMAX_FLOAT32_H

#include "math_exp.h"
#include "math_log.h"

typedef struct {
  int32_t rows, depth;
} sm_log_softmax_float32_params;

/* May compute in place. */
SM_KERNEL void sm_log_softmax_float32(const sm_log_softmax_float32_params *p, const float *input,
                                      float *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    float max = input[0];
    for (int32_t c = 1; c < p->depth; ++c) {
      max = input[c] > max ? input[c] : max;
    }
    float sum = 0.0f;
    for (int32_t c = 0; c < p->depth; ++c) {
      sum += sm_exp(input[c] - max);
    }
    const float log_sum = sm_log(sum);
    for (int32_t c = 0; c < p->depth; ++c) {
      output[c] = (input[c] - max) - log_sum;
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
