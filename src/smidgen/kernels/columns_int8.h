/* Columns for gemm_int8_paired.h: windows of an image as int16 values in the order of steps. */
#ifndef SM_COLUMNS_INT8_H
#define SM_COLUMNS_INT8_H

#include "common.h"
#include "dsp.h"

/* Four bytes to the lanes of two steps; a step of one column is two words from the next. */
SM_DSP void sm_widen4(uint32_t *to, uint32_t bytes) {
  to[0] = sm_sxtb16(bytes);
  to[2] = sm_sxtb16_ror8(bytes);
}

/* The first n bytes of each row to one column: n a multiple of four, rows so many bytes apart.
 * Returns where the next value goes. */
static SM_PART uint32_t *sm_widen_rows(uint32_t *to, const int8_t *from, int32_t n, int32_t rows,
                                       int32_t stride) {
  if (n == 8) { /* the rows of most first layers */
    for (; rows > 0; --rows, from += stride, to += 8) {
      const uint32_t a = sm_load32(from), b = sm_load32(from + 4);
      sm_widen4(to, a);
      sm_widen4(to + 4, b);
      SM_HOLD(rows);
    }
    return to;
  }
  if (n == 4) {
    for (; rows > 0; --rows, from += stride, to += 4) {
      sm_widen4(to, sm_load32(from));
      SM_HOLD(rows);
    }
    return to;
  }
  for (; rows > 0; --rows, from += stride) {
    const int8_t *at = from;
    int32_t left = n - 16;
    for (; left >= 0; left -= 16) {
      const uint32_t a = sm_load32(at), b = sm_load32(at + 4);
      const uint32_t c = sm_load32(at + 8), d = sm_load32(at + 12);
      at += 16;
      sm_widen4(to, a);
      sm_widen4(to + 4, b);
      sm_widen4(to + 8, c);
      sm_widen4(to + 12, d);
      to += 16;
      SM_HOLD(left);
    }
    for (left += 16; left > 0; left -= 4) {
      sm_widen4(to, sm_load32(at));
      at += 4;
      to += 4;
      SM_HOLD(left);
    }
  }
  return to;
}

/* n bytes, any number, to one column, 0 where steps have no value; up to three more are read. */
static inline void sm_widen(uint32_t *to, const int8_t *from, int32_t n) {
  for (; n >= 4; n -= 4, from += 4, to += 4) {
    sm_widen4(to, sm_load32(from));
  }
  if (n == 0) {
    return;
  }
  const uint32_t four = sm_load32(from) & (0xffffffu >> (24 - 8 * n));
  if (n == 2) {
    to[0] = sm_pack16((int8_t)(uint8_t)four, (int8_t)(uint8_t)(four >> 8));
  } else {
    to[0] = sm_sxtb16(four);
  }
  if (n == 3) {
    to[2] = sm_sxtb16_ror8(four);
  }
}

/* The last n bytes, one to three, of each row of so many, one behind the other; up to three bytes
 * behind them are overwritten. */
static inline void sm_copy_rests(int8_t *to, const int8_t *from, int32_t n, int32_t row,
                                 int32_t rows, int32_t stride) {
  if (row < 4) {
    for (; rows > 0; --rows, from += stride) {
      for (int32_t i = 0; i < n; ++i) {
        *to++ = from[i];
      }
    }
    return;
  }
  from += row - 4;
  for (; rows > 0; --rows, from += stride, to += n) {
    sm_store32(to, sm_load32(from) >> (32 - 8 * n));
  }
}

/* n bytes of padding; up to three more are overwritten. */
static inline int8_t *sm_fill(int8_t *to, int32_t n, int32_t padding) {
  const uint32_t word = (uint32_t)padding % 256u * 0x01010101u;
  for (int32_t i = 0; i < n; i += 4) {
    sm_store32(to + i, word);
  }
  return to + n;
}

/* An image, and what stands for the values around it. */
typedef struct {
  const int8_t *data;
  int32_t h, w, c;
  int32_t padding;
} sm_image;

/* The part of an image from row y, column x on, rows * columns pixels, some of them outside.
 * Up to three bytes behind it are overwritten. */
static SM_PART void sm_copy_window(const sm_image *image, int32_t y, int32_t x, int32_t rows,
                                   int32_t columns, int8_t *to) {
  const int32_t c = image->c;
  int32_t before = x < 0 ? -x : 0;
  int32_t inside = (x + columns < image->w ? columns : image->w - x) - before;
  if (inside <= 0) {
    inside = 0;
    before = columns;
  }
  const int32_t after = (columns - before - inside) * c;
  const int8_t *line = image->data + (y * image->w + x + before) * c;
  before *= c;
  inside *= c;
  for (; rows > 0; --rows, ++y, line += image->w * c) {
    if (y < 0 || y >= image->h || inside == 0) {
      to = sm_fill(to, columns * c, image->padding);
      continue;
    }
    if (before > 0) {
      to = sm_fill(to, before, image->padding);
    }
    const int8_t *from = line;
    int32_t n = inside;
    for (; n >= 16; n -= 16, from += 16, to += 16) {
      const uint32_t a = sm_load32(from), b = sm_load32(from + 4);
      const uint32_t d = sm_load32(from + 8), e = sm_load32(from + 12);
      sm_store32(to, a);
      sm_store32(to + 4, b);
      sm_store32(to + 8, d);
      sm_store32(to + 12, e);
      SM_HOLD(n);
    }
    for (; n >= 4; n -= 4, from += 4, to += 4) {
      sm_store32(to, sm_load32(from));
      SM_HOLD(n);
    }
    if (n & 2) {
      sm_store16(to, sm_load16(from));
      from += 2;
      to += 2;
    }
    if (n & 1) {
      *to++ = *from;
    }
    if (after > 0) {
      to = sm_fill(to, after, image->padding);
    }
  }
}

#endif
