/* SQUARE, float32. */
#ifndef SM_SQUARE_FLOAT32_H
#define SM_SQUARE_FLOAT32_H

#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_square_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, x *x);
}

#endif
