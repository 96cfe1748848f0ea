/* RELU and its kin, float32. */
#ifndef SM_RELU_FLOAT32_H
#define SM_RELU_FLOAT32_H

#include "common.h"

typedef struct {
  int32_t size;
  float act_min, act_max;
} sm_relu_float32_params;

/* May compute in place. */
SM_KERNEL void sm_relu_float32(const sm_relu_float32_params *p, const float *input, float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    const float x = input[i] < p->act_min ? p->act_min : input[i];
    output[i] = x > p->act_max ? p->act_max : x;
  }
}

#endif
