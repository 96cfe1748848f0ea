/* GELU, float32: x times the probability that a normal number is below x. */
#ifndef SM_GELU_FLOAT32_H
#define SM_GELU_FLOAT32_H

#include "math_erfc.h"
#include "tanh_float32.h"
#include "unary.h"

/* approximate: 1 for the approximation by tanh. */
typedef struct {
  int32_t size, approximate;
} sm_gelu_float32_params;

static inline float sm_gelu_by_tanh(float x) {
  return 0.5f * x * (1.0f + sm_tanh_one_float32(0.797884561f * (x + 0.044715f * x * x * x)));
}

/* May compute in place. */
SM_KERNEL void sm_gelu_float32(const sm_gelu_float32_params *p, const float *input, float *output) {
  if (p->approximate) {
    SM_EACH(p, float, input, output, sm_gelu_by_tanh(x));
  } else {
    SM_EACH(p, float, input, output, 0.5f * x * sm_erfc(x * -0.707106781f));
  }
}

#endif
