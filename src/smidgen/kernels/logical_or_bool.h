/* LOGICAL_OR: whether one of them is true, 1 or 0. */
#ifndef SM_LOGICAL_OR_BOOL_H
#define SM_LOGICAL_OR_BOOL_H

#include "pair.h"

/* May compute in place over an operand that has the output's size. Operands are 1 or 0. */
SM_KERNEL void sm_logical_or_bool(const sm_pair_params *p, const uint8_t *a, const uint8_t *b,
                                  uint8_t *output) {
  SM_EACH_PAIR(p, uint8_t, a, b, output, (uint8_t)(x | y));
}

#endif
