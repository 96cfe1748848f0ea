/* PRELU, float32. */
#ifndef SM_PRELU_FLOAT32_H
#define SM_PRELU_FLOAT32_H

#include "pair.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_prelu_float32(const sm_pair_params *p, const float *a, const float *b,
                                float *output) {
  SM_EACH_PAIR(p, float, a, b, output, x >= 0.0f ? x : x * y);
}

#endif
