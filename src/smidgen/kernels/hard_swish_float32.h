/* HARD_SWISH, float32. */
#ifndef SM_HARD_SWISH_FLOAT32_H
#define SM_HARD_SWISH_FLOAT32_H

#include "common.h"

typedef struct {
  int32_t size;
} sm_hard_swish_float32_params;

/* May compute in place. */
SM_KERNEL void sm_hard_swish_float32(const sm_hard_swish_float32_params *p, const float *input,
                                     float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    const float gate = input[i] + 3.0f;
    output[i] = input[i] * (gate < 0.0f ? 0.0f : (gate > 6.0f ? 6.0f : gate)) / 6.0f;
  }
}

#endif
