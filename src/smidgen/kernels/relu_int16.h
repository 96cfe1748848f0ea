/* RELU and its kin, int16, where input and output have one scale: only the range is limited. */
#ifndef SM_RELU_INT16_H
#define SM_RELU_INT16_H

#include "common.h"
#include "requantize.h"

typedef struct {
  int32_t size;
  int32_t act_min, act_max;
} sm_relu_int16_params;

/* May compute in place. */
SM_KERNEL void sm_relu_int16(const sm_relu_int16_params *p, const int16_t *input, int16_t *output) {
  const int32_t size = p->size, low = p->act_min, high = p->act_max;
  for (int32_t i = 0; i < size; ++i) {
    output[i] = (int16_t)sm_clamp(input[i], low, high);
  }
}

#endif
