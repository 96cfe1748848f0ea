/* SIN, float32. */
#ifndef SM_SIN_FLOAT32_H
#define SM_SIN_FLOAT32_H

#include "math_sin_cos.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_sin_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, sm_sin(x));
}

#endif
