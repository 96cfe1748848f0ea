/* GREATER: whether a > b, 1 or 0. */
#ifndef SM_GREATER_H
#define SM_GREATER_H

#include "compare_int8.h"
#include "pair.h"

/* All of them may compute in place over an operand that has as many elements as the output. */

SM_KERNEL void sm_greater_int8(const sm_compare_int8_params *p, const int8_t *a, const int8_t *b,
                               uint8_t *output) {
  SM_EACH_PAIR(p, int8_t, a, b, output, sm_comparable_a(p, x) > sm_comparable_b(p, y));
}

SM_KERNEL void sm_greater_float32(const sm_pair_params *p, const float *a, const float *b,
                                  uint8_t *output) {
  SM_EACH_PAIR(p, float, a, b, output, x > y);
}

SM_KERNEL void sm_greater_int32(const sm_pair_params *p, const int32_t *a, const int32_t *b,
                                uint8_t *output) {
  SM_EACH_PAIR(p, int32_t, a, b, output, x > y);
}

SM_KERNEL void sm_greater_int64(const sm_pair_params *p, const int64_t *a, const int64_t *b,
                                uint8_t *output) {
  SM_EACH_PAIR(p, int64_t, a, b, output, x > y);
}

#endif
