/* FLOOR_DIV, float32: a / b, rounded down. */
#ifndef SM_FLOOR_DIV_FLOAT32_H
#define SM_FLOOR_DIV_FLOAT32_H

#include "math_floor.h"
#include "pair.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_floor_div_float32(const sm_pair_params *p, const float *a, const float *b,
                                    float *output) {
  SM_EACH_PAIR(p, float, a, b, output, sm_floor(x / y));
}

#endif
