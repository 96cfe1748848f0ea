/* SIGN, float32 and int32: -1, 0 or 1. */
#ifndef SM_SIGN_H
#define SM_SIGN_H

#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_sign_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, x > 0.0f ? 1.0f : (x < 0.0f ? -1.0f : x));
}

/* May compute in place. */
SM_KERNEL void sm_sign_int32(const sm_unary_params *p, const int32_t *input, int32_t *output) {
  SM_EACH(p, int32_t, input, output, (x > 0) - (x < 0));
}

#endif
