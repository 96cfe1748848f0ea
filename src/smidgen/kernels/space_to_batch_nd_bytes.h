/* SPACE_TO_BATCH_ND, elements of any size. */
#ifndef SM_SPACE_TO_BATCH_ND_BYTES_H
#define SM_SPACE_TO_BATCH_ND_BYTES_H

#include "bytes.h"

/* batches: of the input. pixel: bytes of one, all channels. Every byte of the border is `value`. */
typedef struct {
  int32_t batches, in_h, in_w, out_h, out_w, pixel;
  int32_t block_h, block_w, top, left;
  int32_t value;
} sm_space_to_batch_nd_bytes_params;

/* One pixel of every block of an image: pixel (i, j). Returns the end of what it wrote. */
static inline uint8_t *sm_space_to_batch(const sm_space_to_batch_nd_bytes_params *p,
                                         const uint8_t *in, int32_t i, int32_t j, uint8_t *out) {
  const int32_t pixel = p->pixel;
  for (int32_t y = i - p->top; y < p->out_h * p->block_h + i - p->top; y += p->block_h) {
    for (int32_t x = j - p->left; x < p->out_w * p->block_w + j - p->left; x += p->block_w) {
      if (y >= 0 && y < p->in_h && x >= 0 && x < p->in_w) {
        sm_copy_bytes_down(out, in + (y * p->in_w + x) * pixel, pixel);
      } else {
        sm_fill_bytes(out, p->value, pixel);
      }
      out += pixel;
    }
  }
  return out;
}

SM_KERNEL void sm_space_to_batch_nd_bytes(const sm_space_to_batch_nd_bytes_params *p,
                                          const void *input, void *output) {
  const int32_t size = p->in_h * p->in_w * p->pixel;
  uint8_t *out = output;
  for (int32_t i = 0; i < p->block_h; ++i) {
    for (int32_t j = 0; j < p->block_w; ++j) {
      for (int32_t n = 0; n < p->batches; ++n) {
        out = sm_space_to_batch(p, (const uint8_t *)input + n * size, i, j, out);
      }
    }
  }
}

#endif
