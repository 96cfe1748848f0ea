/* L2_NORMALIZATION over the last axis, float32. */
#ifndef SM_L2_NORMALIZATION_FLOAT32_H
#define SM_L2_NORMALIZATION_FLOAT32_H

#include "math_sqrt.h"

typedef struct {
  int32_t rows, depth;
} sm_l2_normalization_float32_params;

/* May compute in place. */
SM_KERNEL void sm_l2_normalization_float32(const sm_l2_normalization_float32_params *p,
                                           const float *input, float *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    float sum = 0.0f;
    for (int32_t c = 0; c < p->depth; ++c) {
      sum += input[c] * input[c];
    }
    const float length = sm_sqrt(sum);
    for (int32_t c = 0; c < p->depth; ++c) {
      output[c] = input[c] / (length > 1e-6f ? length : 1e-6f);
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
