/* LEAKY_RELU, float32. */
#ifndef SM_LEAKY_RELU_FLOAT32_H
#define SM_LEAKY_RELU_FLOAT32_H

#include "common.h"

typedef struct {
  int32_t size;
  float alpha;
} sm_leaky_relu_float32_params;

/* May compute in place. */
SM_KERNEL void sm_leaky_relu_float32(const sm_leaky_relu_float32_params *p, const float *input,
                                     float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = input[i] > 0.0f ? input[i] : input[i] * p->alpha;
  }
}

#endif
