/* RSQRT, float32: 1 / sqrt(x). */
#ifndef SM_RSQRT_FLOAT32_H
#define SM_RSQRT_FLOAT32_H

#include "math_sqrt.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_rsqrt_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, 1.0f / sm_sqrt(x));
}

#endif
