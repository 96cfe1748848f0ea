/* SQRT, float32. */
#ifndef SM_SQRT_FLOAT32_H
#define SM_SQRT_FLOAT32_H

#include "math_sqrt.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_sqrt_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, sm_sqrt(x));
}

#endif
