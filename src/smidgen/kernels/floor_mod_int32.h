/* FLOOR_MOD, int32: what a / b rounded down leaves. */
#ifndef SM_FLOOR_MOD_INT32_H
#define SM_FLOOR_MOD_INT32_H

#include "pair.h"
#include "whole_division.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_floor_mod_int32(const sm_pair_params *p, const int32_t *a, const int32_t *b,
                                  int32_t *output) {
  SM_EACH_PAIR(p, int32_t, a, b, output, sm_remainder(x, y) + (sm_is_above(x, y) ? y : 0));
}

#endif
