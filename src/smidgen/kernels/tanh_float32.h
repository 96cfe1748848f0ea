/* TANH, float32. */
#ifndef SM_TANH_FLOAT32_H
#define SM_TANH_FLOAT32_H

#include "common.h"
#include "math_exp.h"

typedef struct {
  int32_t size;
} sm_tanh_float32_params;

/* Near zero 1 - 2 / (e^2x + 1) would cancel: there, a convergent of tanh's continued fraction. */
static inline float sm_tanh_one_float32(float x) {
  if (x > -0.5f && x < 0.5f) {
    const float s = x * x;
    return x * ((s + 105.0f) * s + 945.0f) / ((15.0f * s + 420.0f) * s + 945.0f);
  }
  return 1.0f - 2.0f / (sm_exp(2.0f * x) + 1.0f);
}

/* May compute in place. */
SM_KERNEL void sm_tanh_float32(const sm_tanh_float32_params *p, const float *input, float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = sm_tanh_one_float32(input[i]);
  }
}

#endif
