/* LOGICAL_NOT: 1 for 0 and 0 for 1. */
#ifndef SM_LOGICAL_NOT_BOOL_H
#define SM_LOGICAL_NOT_BOOL_H

#include "unary.h"

/* May compute in place. */
SM_KERNEL void sm_logical_not_bool(const sm_unary_params *p, const uint8_t *input,
                                   uint8_t *output) {
  SM_EACH(p, uint8_t, input, output, !x);
}

#endif
