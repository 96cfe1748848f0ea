/* ROUND, float32: the nearest whole number, of two the even one. */
#ifndef SM_ROUND_FLOAT32_H
#define SM_ROUND_FLOAT32_H

#include "math_floor.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_round_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, sm_round(x));
}

#endif
