/* BATCH_TO_SPACE_ND, elements of any size. */
#ifndef SM_BATCH_TO_SPACE_ND_BYTES_H
#define SM_BATCH_TO_SPACE_ND_BYTES_H

#include "bytes.h"

/* batches: of the output. pixel: bytes of one, all channels. top, left: what is cut off. */
typedef struct {
  int32_t batches, in_h, in_w, out_h, out_w, pixel;
  int32_t block_h, block_w, top, left;
  int32_t value; /* not used: the fields are those of SPACE_TO_BATCH_ND */
} sm_batch_to_space_nd_bytes_params;

SM_KERNEL void sm_batch_to_space_nd_bytes(const sm_batch_to_space_nd_bytes_params *p,
                                          const void *input, void *output) {
  const int32_t pixel = p->pixel;
  uint8_t *out = output;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t y = p->top; y < p->top + p->out_h; ++y) {
      for (int32_t x = p->left; x < p->left + p->out_w; ++x, out += pixel) {
        const int32_t place = y % p->block_h * p->block_w + x % p->block_w;
        const int32_t row = (place * p->batches + n) * p->in_h + y / p->block_h;
        const int32_t at = row * p->in_w + x / p->block_w;
        sm_copy_bytes_down(out, (const uint8_t *)input + at * pixel, pixel);
      }
    }
  }
}

#endif
