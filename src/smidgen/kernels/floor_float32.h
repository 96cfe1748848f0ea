/* FLOOR, float32: the largest whole number that is not above x. */
#ifndef SM_FLOOR_FLOAT32_H
#define SM_FLOOR_FLOAT32_H

#include "math_floor.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_floor_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, sm_floor(x));
}

#endif
