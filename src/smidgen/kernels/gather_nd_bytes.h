/* GATHER_ND, elements of any size: slices of a tensor by their places on its first axes. */
#ifndef SM_GATHER_ND_BYTES_H
#define SM_GATHER_ND_BYTES_H

#include "bytes.h"

/* `count` slices of `bytes` bytes. A place is `depth` numbers; one that an axis does not have
 * becomes the nearest that it has, so that nothing beyond the tensor is read. */
typedef struct {
  int32_t count, depth, bytes;
  const int32_t *sizes, *strides; /* of each of the first axes, strides in bytes */
} sm_gather_nd_bytes_params;

/* The output may not lie over the operands. */
SM_KERNEL void sm_gather_nd_bytes(const sm_gather_nd_bytes_params *p, const void *input,
                                  const void *indices, void *output) {
  const int32_t *index = indices;
  uint8_t *out = output;
  for (int32_t i = 0; i < p->count; ++i, index += p->depth, out += p->bytes) {
    const uint8_t *in = input;
    for (int32_t d = 0; d < p->depth; ++d) {
      const int32_t last = p->sizes[d] - 1;
      in += (index[d] < 0 ? 0 : index[d] > last ? last : index[d]) * p->strides[d];
    }
    sm_copy_bytes_down(out, in, p->bytes);
  }
}

#endif
