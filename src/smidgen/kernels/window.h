/* Which positions of a sliding window lie inside the image, along one axis. */
#ifndef SM_WINDOW_H
#define SM_WINDOW_H

#include <stdint.h>

/* The first position inside, of a window whose first position is at `start` (negative when it
 * begins in the padding). Positions are `dilation` (1 or more) apart. */
static inline int32_t sm_window_begin(int32_t start, int32_t dilation) {
  return start >= 0 ? 0 : (dilation - 1 - start) / dilation;
}

/* One past the last position inside an image of `size`, of a window of `kernel` positions.
 * Needs start < size, which holds for every window of SAME and VALID padding. */
static inline int32_t sm_window_end(int32_t start, int32_t dilation, int32_t kernel, int32_t size) {
  const int32_t inside = (size - start + dilation - 1) / dilation;
  return inside < kernel ? inside : kernel;
}

#endif
