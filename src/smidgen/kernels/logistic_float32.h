/* LOGISTIC, float32: 1 / (1 + e^-x). */
#ifndef SM_LOGISTIC_FLOAT32_H
#define SM_LOGISTIC_FLOAT32_H

#include "common.h"
#include "math_exp.h"

typedef struct {
  int32_t size;
} sm_logistic_float32_params;

/* May compute in place. */
SM_KERNEL void sm_logistic_float32(const sm_logistic_float32_params *p, const float *input,
                                   float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = 1.0f / (1.0f + sm_exp(-input[i]));
  }
}

#endif
