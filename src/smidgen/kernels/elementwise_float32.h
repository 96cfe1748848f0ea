/* What the float32 kernels on two operands share. */
#ifndef SM_ELEMENTWISE_FLOAT32_H
#define SM_ELEMENTWISE_FLOAT32_H

#include "common.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
  float act_min, act_max;
} sm_elementwise_float32_params;

static inline float sm_clamp_float32(float x, float low, float high) {
  return x < low ? low : (x > high ? high : x);
}

#endif
