/* DIV, float32: two operands that broadcast. */
#ifndef SM_DIV_FLOAT32_H
#define SM_DIV_FLOAT32_H

#include "elementwise_float32.h"
#include "pair.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_div_float32(const sm_elementwise_float32_params *p, const float *a,
                              const float *b, float *output) {
  SM_EACH_PAIR(p, float, a, b, output, sm_clamp_float32(x / y, p->act_min, p->act_max));
}

#endif
