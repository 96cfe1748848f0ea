/* EXP, float32: e^x. */
#ifndef SM_EXP_FLOAT32_H
#define SM_EXP_FLOAT32_H

#include "math_exp.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_exp_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, sm_exp(x));
}

#endif
