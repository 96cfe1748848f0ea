/* REDUCE_MAX and REDUCE_MIN, int8, REDUCE_ANY and REDUCE_ALL: extremes over any axes. */
#ifndef SM_REDUCE_MAX_INT8_H
#define SM_REDUCE_MAX_INT8_H

#include "common.h"

/* Two loops over axes that stay, and for each output two loops over axes that go, all with element
 * strides into the input; a loop that is not needed has size 1.
 * flip: 0 for the greatest element, -1 for the least, which is the greatest with all bits turned
 * over. */
typedef struct {
  int32_t keep_size0, keep_stride0;
  int32_t keep_size1, keep_stride1;
  int32_t reduce_size0, reduce_stride0;
  int32_t reduce_size1, reduce_stride1;
  int32_t flip;
} sm_reduce_max_int8_params;

/* Outputs are written in order, each after its elements were read, none of which lies before the
 * output's own position: may compute in place. */
SM_KERNEL void sm_reduce_max_int8(const sm_reduce_max_int8_params *p, const void *input,
                                  void *output) {
  int8_t *out = output;
  const int32_t flip = p->flip;
  for (int32_t i = 0; i < p->keep_size0; ++i) {
    for (int32_t j = 0; j < p->keep_size1; ++j) {
      const int8_t *in = (const int8_t *)input + i * p->keep_stride0 + j * p->keep_stride1;
      int32_t most = -128;
      for (int32_t k = 0; k < p->reduce_size0; ++k, in += p->reduce_stride0) {
        const int8_t *at = in;
        for (int32_t l = 0; l < p->reduce_size1; ++l, at += p->reduce_stride1) {
          const int32_t value = *at ^ flip;
          most = value > most ? value : most;
        }
      }
      *out++ = (int8_t)(most ^ flip);
    }
  }
}

#endif
