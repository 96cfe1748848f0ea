/* MIRROR_PAD, elements of any size. */
#ifndef SM_MIRROR_PAD_BYTES_H
#define SM_MIRROR_PAD_BYTES_H

#include "bytes.h"

/* Three nested loops over runs of the input, `run` bytes each. skip: whether the outermost element
 * is not repeated. */
typedef struct {
  int32_t skip;
  int32_t size0, before0, after0;
  int32_t size1, before1, after1;
  int32_t size2, before2, after2;
  int32_t run;
} sm_mirror_pad_bytes_params;

/* The position in 0 to size - 1 that position `at`, up to `size` beyond either end, mirrors. */
static inline int32_t sm_mirrored(int32_t at, int32_t size, int32_t skip) {
  if (at < 0) {
    return skip - 1 - at;
  }
  return at < size ? at : 2 * size - 1 - skip - at;
}

SM_KERNEL void sm_mirror_pad_bytes(const sm_mirror_pad_bytes_params *p, const void *input,
                                   void *output) {
  const int32_t run = p->run, skip = p->skip;
  uint8_t *out = output;
  for (int32_t i = -p->before0; i < p->size0 + p->after0; ++i) {
    const int32_t first = sm_mirrored(i, p->size0, skip) * p->size1;
    for (int32_t j = -p->before1; j < p->size1 + p->after1; ++j) {
      const int32_t line = (first + sm_mirrored(j, p->size1, skip)) * p->size2;
      for (int32_t k = -p->before2; k < p->size2 + p->after2; ++k, out += run) {
        const int32_t at = line + sm_mirrored(k, p->size2, skip);
        sm_copy_bytes_down(out, (const uint8_t *)input + at * run, run);
      }
    }
  }
}

#endif
