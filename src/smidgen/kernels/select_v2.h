/* SELECT_V2: elements of one operand where a condition is true, of another elsewhere. */
#ifndef SM_SELECT_V2_H
#define SM_SELECT_V2_H

#include "common.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand: a is the
 * condition, 1 or 0, b what is taken where it is 1, c what is taken elsewhere. */
typedef struct {
  int32_t size0, stride_a0, stride_b0, stride_c0;
  int32_t size1, stride_a1, stride_b1, stride_c1;
  int32_t size2, stride_a2, stride_b2, stride_c2;
  int32_t size3, stride_a3, stride_b3, stride_c3;
} sm_select_v2_params;

#define SM_SELECT(p, type, condition, b, c, output)                                                \
  for (int32_t i = 0; i < (p)->size0; ++i) {                                                       \
    for (int32_t j = 0; j < (p)->size1; ++j) {                                                     \
      for (int32_t k = 0; k < (p)->size2; ++k) {                                                   \
        const uint8_t *pa =                                                                        \
            (condition) + i * (p)->stride_a0 + j * (p)->stride_a1 + k * (p)->stride_a2;            \
        const type *pb = (b) + i * (p)->stride_b0 + j * (p)->stride_b1 + k * (p)->stride_b2;       \
        const type *pc = (c) + i * (p)->stride_c0 + j * (p)->stride_c1 + k * (p)->stride_c2;       \
        for (int32_t l = 0; l < (p)->size3; ++l) {                                                 \
          const int yes = pa[l * (p)->stride_a3] != 0;                                             \
          *(output)++ = yes ? pb[l * (p)->stride_b3] : pc[l * (p)->stride_c3];                     \
        }                                                                                          \
      }                                                                                            \
    }                                                                                              \
  }

/* All of them may compute in place over an operand that has as many elements as the output. */

SM_KERNEL void sm_select_v2_int8(const sm_select_v2_params *p, const uint8_t *condition,
                                 const int8_t *b, const int8_t *c, int8_t *output) {
  SM_SELECT(p, int8_t, condition, b, c, output);
}

SM_KERNEL void sm_select_v2_bool(const sm_select_v2_params *p, const uint8_t *condition,
                                 const uint8_t *b, const uint8_t *c, uint8_t *output) {
  SM_SELECT(p, uint8_t, condition, b, c, output);
}

SM_KERNEL void sm_select_v2_int32(const sm_select_v2_params *p, const uint8_t *condition,
                                  const int32_t *b, const int32_t *c, int32_t *output) {
  SM_SELECT(p, int32_t, condition, b, c, output);
}

SM_KERNEL void sm_select_v2_int64(const sm_select_v2_params *p, const uint8_t *condition,
                                  const int64_t *b, const int64_t *c, int64_t *output) {
  SM_SELECT(p, int64_t, condition, b, c, output);
}

SM_KERNEL void sm_select_v2_float32(const sm_select_v2_params *p, const uint8_t *condition,
                                    const float *b, const float *c, float *output) {
  SM_SELECT(p, float, condition, b, c, output);
}

#endif
