/* ARG_MAX and ARG_MIN, int8: where along an axis the extreme element is. */
#ifndef SM_ARG_MAX_INT8_H
#define SM_ARG_MAX_INT8_H

#include "items.h"

/* Elements of the axis, `size` of them, lie `inner` apart.
 * flip: 0 for the greatest, -1 for the least, which is the greatest with all bits turned over. */
typedef struct {
  int32_t outer, size, inner;
  int32_t wide; /* 1: indices are int64; 0: int32 */
  int32_t flip;
} sm_arg_max_int8_params;

SM_KERNEL void sm_arg_max_int8(const sm_arg_max_int8_params *p, const int8_t *input, void *output) {
  const int32_t size = p->size, inner = p->inner, flip = p->flip;
  int32_t index = 0;
  for (int32_t i = 0; i < p->outer; ++i, input += size * inner) {
    for (int32_t j = 0; j < inner; ++j) {
      int32_t best = 0, most = input[j] ^ flip;
      for (int32_t k = 1; k < size; ++k) {
        const int32_t value = input[k * inner + j] ^ flip;
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
