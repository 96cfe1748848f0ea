/* CUMSUM, float32: the sums of all elements up to each, along an axis. */
#ifndef SM_CUMSUM_FLOAT32_H
#define SM_CUMSUM_FLOAT32_H

#include "common.h"

/* Elements of the axis, `size` of them, lie `inner` apart. exclusive: whether a sum leaves its own
 * element out. reverse: whether it starts at the end. */
typedef struct {
  int32_t outer, size, inner;
  int32_t exclusive, reverse;
} sm_cumsum_float32_params;

/* Each element is read before it is written: may compute in place. */
SM_KERNEL void sm_cumsum_float32(const sm_cumsum_float32_params *p, const float *input,
                                 float *output) {
  const int32_t size = p->size, inner = p->inner;
  const int32_t step = p->reverse ? -inner : inner;
  for (int32_t i = 0; i < p->outer; ++i) {
    for (int32_t j = 0; j < inner; ++j) {
      int32_t at = i * size * inner + j + (p->reverse ? (size - 1) * inner : 0);
      float sum = 0.0f;
      for (int32_t k = 0; k < size; ++k, at += step) {
        const float before = sum;
        sum += input[at];
        output[at] = p->exclusive ? before : sum;
      }
    }
  }
}

#endif
