/* SQUARED_DIFFERENCE, float32 and int32. */
#ifndef SM_SQUARED_DIFFERENCE_H
#define SM_SQUARED_DIFFERENCE_H

#include "pair.h"

/* Modulo 2^32. */
static inline int32_t sm_squared_difference_wrapped(int32_t a, int32_t b) {
  const uint32_t difference = (uint32_t)a - (uint32_t)b;
  return (int32_t)(difference * difference);
}

/* Both may compute in place over an operand that has the output's size. */

SM_KERNEL void sm_squared_difference_float32(const sm_pair_params *p, const float *a,
                                             const float *b, float *output) {
  SM_EACH_PAIR(p, float, a, b, output, (x - y) * (x - y));
}

SM_KERNEL void sm_squared_difference_int32(const sm_pair_params *p, const int32_t *a,
                                           const int32_t *b, int32_t *output) {
  SM_EACH_PAIR(p, int32_t, a, b, output, sm_squared_difference_wrapped(x, y));
}

#endif
