/* LOG, float32: the natural logarithm. */
#ifndef SM_LOG_FLOAT32_H
#define SM_LOG_FLOAT32_H

#include "math_log.h"
#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_log_float32(const sm_unary_params *p, const float *input, float *output) {
  SM_EACH(p, float, input, output, sm_log(x));
}

#endif
