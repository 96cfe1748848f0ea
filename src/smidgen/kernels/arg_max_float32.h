/* ARG_MAX and ARG_MIN, float32: where along an axis the extreme element is. */
#ifndef SM_ARG_MAX_FLOAT32_H
#define SM_ARG_MAX_FLOAT32_H

#include "items.h"

/* Elements of the axis, `size` of them, lie `inner` apart.
 * sign: 1 for the greatest, -1 for the least, which is the greatest of the opposites. */
typedef struct {
  int32_t outer, size, inner;
  int32_t wide; /* 1: indices are int64; 0: int32 */
  float sign;
} sm_arg_max_float32_params;

SM_KERNEL void sm_arg_max_float32(const sm_arg_max_float32_params *p, const float *input,
                                  void *output) {
  const int32_t size = p->size, inner = p->inner;
  const float sign = p->sign;
  int32_t index = 0;
  for (int32_t i = 0; i < p->outer; ++i, input += size * inner) {
    for (int32_t j = 0; j < inner; ++j) {
      int32_t best = 0;
      float most = input[j] * sign;
      for (int32_t k = 1; k < size; ++k) {
        const float value = input[k * inner + j] * sign;
        if (value > most) {
          most = value;
          best = k;
        }
      }
      sm_put_index(output, index++, best, p->wide);
    }
  }
}

#endif
