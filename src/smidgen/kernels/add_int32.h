/* ADD, int32: the sum of two operands that broadcast, modulo 2^32. */
#ifndef SM_ADD_INT32_H
#define SM_ADD_INT32_H

#include "pair.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_add_int32(const sm_pair_params *p, const int32_t *a, const int32_t *b,
                            int32_t *output) {
  SM_EACH_PAIR(p, int32_t, a, b, output, (int32_t)((uint32_t)x + (uint32_t)y));
}

#endif
