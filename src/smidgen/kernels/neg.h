/* NEG, float32, int32 and int64: minus x. That of the least integer is itself. */
#ifndef SM_NEG_H
#define SM_NEG_H

#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_neg_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, -x);
}

/* May compute in place. */
SM_KERNEL void sm_neg_int32(const sm_unary_params *p, const int32_t *input, int32_t *output) {
  SM_EACH(p, int32_t, input, output, (int32_t)(0u - (uint32_t)x));
}

/* May compute in place. */
SM_KERNEL void sm_neg_int64(const sm_unary_params *p, const int64_t *input, int64_t *output) {
  SM_EACH(p, int64_t, input, output, (int64_t)((uint64_t)0 - (uint64_t)x));
}

#endif
