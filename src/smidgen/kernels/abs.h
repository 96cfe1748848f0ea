/* ABS, float32 and int32: the magnitude. That of the least int32 is itself. */
#ifndef SM_ABS_H
#define SM_ABS_H

#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_abs_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, x < 0.0f ? -x : x);
}

/* May compute in place. */
SM_KERNEL void sm_abs_int32(const sm_unary_params *p, const int32_t *input, int32_t *output) {
  SM_EACH(p, int32_t, input, output, x < 0 ? (int32_t)(0u - (uint32_t)x) : x);
}

#endif
