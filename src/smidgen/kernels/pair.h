/* What the kernels on two operands that broadcast share: the loop over the output. */
#ifndef SM_PAIR_H
#define SM_PAIR_H

#include "common.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand. Parameter
 * structs of kernels that need more begin with the same fields. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
} sm_pair_params;

/* For each element of `output` in order: x and y are the elements of a and b, which are arrays of
 * `type`, and the element becomes `value`. It is written when x and y have been read. */
#define SM_EACH_PAIR(p, type, a, b, output, value)                                                 \
  for (int32_t i = 0; i < (p)->size0; ++i) {                                                       \
    for (int32_t j = 0; j < (p)->size1; ++j) {                                                     \
      for (int32_t k = 0; k < (p)->size2; ++k) {                                                   \
        const type *pa = (a) + i * (p)->stride_a0 + j * (p)->stride_a1 + k * (p)->stride_a2;       \
        const type *pb = (b) + i * (p)->stride_b0 + j * (p)->stride_b1 + k * (p)->stride_b2;       \
        for (int32_t l = 0; l < (p)->size3; ++l) {                                                 \
          const type x = pa[l * (p)->stride_a3], y = pb[l * (p)->stride_b3];                       \
          *(output)++ = (value);                                                                   \
        }                                                                                          \
      }                                                                                            \
    }                                                                                              \
  }

#endif
