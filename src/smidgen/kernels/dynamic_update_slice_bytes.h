/* DYNAMIC_UPDATE_SLICE, elements of any size: a tensor with a block of another one in its place. */
#ifndef SM_DYNAMIC_UPDATE_SLICE_BYTES_H
#define SM_DYNAMIC_UPDATE_SLICE_BYTES_H

#include "bytes.h"

enum { SM_UPDATE_AXES = 8 };

/* A tensor of `bytes` bytes and at most 8 axes, and a block of `runs` runs of `run` bytes. */
typedef struct {
  int32_t bytes, axes, runs, run;
  const int32_t *sizes;   /* of the block, on each axis */
  const int32_t *room;    /* how far it can start from the tensor's first element */
  const int32_t *strides; /* of the tensor, in bytes */
} sm_dynamic_update_slice_bytes_params;

/* The output may be the tensor's own bytes, or lie below them. */
SM_KERNEL void sm_dynamic_update_slice_bytes(const sm_dynamic_update_slice_bytes_params *p,
                                             const void *input, const void *update,
                                             const void *place, void *output) {
  const int32_t *first = place;
  const uint8_t *in = update;
  uint8_t *out = output;
  int32_t at[SM_UPDATE_AXES] = {0};
  if (input != output) {
    sm_copy_bytes_down(out, input, p->bytes);
  }
  for (int32_t d = 0; d < p->axes; ++d) {
    const int32_t start = first[d] < 0 ? 0 : first[d] > p->room[d] ? p->room[d] : first[d];
    out += start * p->strides[d];
  }
  for (int32_t left = p->runs; left > 0; --left, in += p->run) {
    sm_copy_bytes_down(out, in, p->run);
    /* On to the next run: the axes that are at their end start again. */
    for (int32_t d = p->axes - 2; d >= 0; --d) {
      out += p->strides[d];
      if (++at[d] < p->sizes[d]) {
        break;
      }
      out -= p->sizes[d] * p->strides[d];
      at[d] = 0;
    }
  }
}

#endif
