/* CEIL, float32: the smallest whole number that is not below x. */
#ifndef SM_CEIL_FLOAT32_H
#define SM_CEIL_FLOAT32_H

#include "math_floor.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_ceil_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, -sm_floor(-x));
}

#endif
