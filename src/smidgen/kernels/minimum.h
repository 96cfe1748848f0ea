/* MINIMUM: the smaller of two operands that broadcast; integers share their scale. */
#ifndef SM_MINIMUM_H
#define SM_MINIMUM_H

#include "pair.h"

/* All of them may compute in place over an operand that has the output's size. */

SM_KERNEL void sm_minimum_int8(const sm_pair_params *p, const int8_t *a, const int8_t *b,
                               int8_t *output) {
  SM_EACH_PAIR(p, int8_t, a, b, output, x < y ? x : y);
}

SM_KERNEL void sm_minimum_int32(const sm_pair_params *p, const int32_t *a, const int32_t *b,
                                int32_t *output) {
  SM_EACH_PAIR(p, int32_t, a, b, output, x < y ? x : y);
}

SM_KERNEL void sm_minimum_int64(const sm_pair_params *p, const int64_t *a, const int64_t *b,
                                int64_t *output) {
  SM_EACH_PAIR(p, int64_t, a, b, output, x < y ? x : y);
}

SM_KERNEL void sm_minimum_float32(const sm_pair_params *p, const float *a, const float *b,
                                  float *output) {
  SM_EACH_PAIR(p, float, a, b, output, x < y ? x : y);
}

#endif
