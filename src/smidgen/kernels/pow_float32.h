/* POW, float32: a to the power of b. */
#ifndef SM_POW_FLOAT32_H
#define SM_POW_FLOAT32_H

#include "math_pow.h"
#include "pair.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_pow_float32(const sm_pair_params *p, const float *a, const float *b,
                              float *output) {
  SM_EACH_PAIR(p, float, a, b, output, sm_pow(x, y));
}

#endif
