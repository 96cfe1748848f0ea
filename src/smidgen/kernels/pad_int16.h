/* PADV2, int16: any value. */
#ifndef SM_PAD_INT16_H
#define SM_PAD_INT16_H

#include "common.h"

/* Three nested loops over lines of the input; a line is `before`, `run` and `after` elements. */
typedef struct {
  int32_t size0, before0, after0;
  int32_t size1, before1, after1;
  int32_t size2, before2, after2;
  int32_t run, before, after;
  int32_t value;
} sm_pad_int16_params;

/* The output may lie over the input wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_pad_int16(const sm_pad_int16_params *p, const int16_t *input, int16_t *output) {
  const int32_t line = p->before + p->run + p->after;
  for (int32_t i = -p->before0; i < p->size0 + p->after0; ++i) {
    for (int32_t j = -p->before1; j < p->size1 + p->after1; ++j) {
      for (int32_t k = -p->before2; k < p->size2 + p->after2; ++k) {
        const int inside =
            i >= 0 && i < p->size0 && j >= 0 && j < p->size1 && k >= 0 && k < p->size2;
        for (int32_t l = -p->before; l < line - p->before; ++l) {
          *output++ = inside && l >= 0 && l < p->run ? *input++ : (int16_t)p->value;
        }
      }
    }
  }
}

#endif
