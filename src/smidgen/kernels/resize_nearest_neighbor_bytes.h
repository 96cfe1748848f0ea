/* RESIZE_NEAREST_NEIGHBOR, elements of any size. */
#ifndef SM_RESIZE_NEAREST_NEIGHBOR_BYTES_H
#define SM_RESIZE_NEAREST_NEIGHBOR_BYTES_H

#include "bytes.h"

/* pixel: bytes of one, all channels. rows, cols: where each output row and column comes from. */
typedef struct {
  int32_t in_w, out_h, out_w, pixel;
  const int16_t *rows; /* for each output row */
  const int16_t *cols; /* for each output column */
} sm_resize_nearest_neighbor_bytes_params;

/* The output may lie over the input wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_resize_nearest_neighbor_bytes(const sm_resize_nearest_neighbor_bytes_params *p,
                                                const void *input, void *output) {
  const int32_t out_w = p->out_w, pixel = p->pixel;
  const int16_t *const cols = p->cols;
  uint8_t *out = output;
  for (int32_t y = 0; y < p->out_h; ++y) {
    const uint8_t *row = (const uint8_t *)input + p->rows[y] * p->in_w * pixel;
    for (int32_t x = 0; x < out_w; ++x, out += pixel) {
      sm_copy_bytes_down(out, row + cols[x] * pixel, pixel);
    }
  }
}

#endif
