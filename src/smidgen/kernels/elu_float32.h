/* ELU, float32: x, and e^x - 1 below 0. */
#ifndef SM_ELU_FLOAT32_H
#define SM_ELU_FLOAT32_H

#include "math_exp.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_elu_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, x < 0.0f ? sm_expm1(x) : x);
}

#endif
