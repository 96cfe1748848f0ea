/* GATHER and EMBEDDING_LOOKUP, elements of any size: slices of a table by their numbers. */
#ifndef SM_GATHER_BYTES_H
#define SM_GATHER_BYTES_H

#include "bytes.h"

/* `batches` tables one after the other, each with `count` indices of its own; a table is `outer`
 * times `rows` slices of `bytes` bytes. A number that no slice has becomes the nearest that is
 * one, so that nothing beyond the table is read. */
typedef struct {
  int32_t batches, outer, rows, count, bytes;
} sm_gather_bytes_params;

/* The output may not lie over the operands. */
SM_KERNEL void sm_gather_bytes(const sm_gather_bytes_params *p, const void *table,
                               const void *indices, void *output) {
  const uint8_t *in = table;
  const int32_t *index = indices;
  const int32_t bytes = p->bytes, last = p->rows - 1;
  uint8_t *out = output;
  for (int32_t b = 0; b < p->batches; ++b, index += p->count) {
    for (int32_t o = 0; o < p->outer; ++o, in += p->rows * bytes) {
      for (int32_t i = 0; i < p->count; ++i, out += bytes) {
        const int32_t at = index[i] < 0 ? 0 : index[i] > last ? last : index[i];
        sm_copy_bytes_down(out, in + at * bytes, bytes);
      }
    }
  }
}

#endif
