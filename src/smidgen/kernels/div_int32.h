/* DIV, int32: rounded towards zero. */
#ifndef SM_DIV_INT32_H
#define SM_DIV_INT32_H

#include "pair.h"
#include "whole_division.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_div_int32(const sm_pair_params *p, const int32_t *a, const int32_t *b,
                            int32_t *output) {
  SM_EACH_PAIR(p, int32_t, a, b, output, sm_quotient(x, y));
}

#endif
