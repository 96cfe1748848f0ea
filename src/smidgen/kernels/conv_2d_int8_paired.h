/* CONV_2D, int8, for cores with the DSP instructions: any window and stride, one group, no
 * dilation. Weights of two channels at a time (see gemm_int8_paired.h), two pixels at a time. */
#ifndef SM_CONV_2D_INT8_PAIRED_H
#define SM_CONV_2D_INT8_PAIRED_H

#include "common.h"
#include "dsp.h"
#include "gemm_int8_paired.h"
#include "requantize.h"

/* The zero point of the input is folded into the stream's addends; padding is written out.
 * Weights are -127 to 127 and the magnitudes of a channel's, times 128, sum up to less than 2^23.
 * Steps take the values of each row of the window by fours, (0, 2) then (1, 3). Up to three values
 * remain of a row; all rows' together go by fours at last. Of what then remains, one or two share
 * a step and three take two: (0, 2) and (1, none). */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_w, pixels; /* pixels: of the output */
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t row; /* kernel_w * in_c */
  int32_t out_c;
  int32_t steps;
  int32_t pairs;   /* of pixels at a time */
  int32_t padding; /* the input's zero point */
  int32_t exact, half_point;
  int32_t clamp; /* not 0: outputs are limited to act_min to act_max at last */
  int32_t act_min, act_max;
  int32_t tail_stream; /* words of the stream before the last 1 to 3 channels */
  const int32_t *stream;
} sm_conv_2d_int8_paired_params;

#define SM_CONV_2D_MAX_PIXELS 16 /* twice the pairs at most */

/* Four bytes to the lanes of two steps; a step of one column is two words from the next. */
static inline void sm_widen(uint32_t *to, uint32_t bytes) {
  to[0] = sm_sxtb16(bytes);
  to[2] = sm_sxtb16_ror8(bytes);
}

/* n bytes of padding; up to three more are overwritten. */
static inline int8_t *sm_fill(int8_t *to, int32_t n, int32_t padding) {
  const uint32_t word = (uint32_t)padding % 256u * 0x01010101u;
  for (int32_t i = 0; i < n; i += 4) {
    sm_store32(to + i, word);
  }
  return to + n;
}

/* A row of the window that is not all inside the image, at row y, column x; up to three bytes
 * more are overwritten. */
static SM_PART void sm_conv_2d_edge(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                    int32_t y, int32_t x, int8_t *to) {
  int32_t before = x < 0 ? -x : 0;
  const int32_t beyond = x + p->kernel_w - p->in_w;
  int32_t inside = p->kernel_w - before - (beyond > 0 ? beyond : 0);
  if (y < 0 || y >= p->in_h || inside < 0) {
    inside = 0;
    before = p->kernel_w;
  }
  to = sm_fill(to, before * p->in_c, p->padding);
  if (inside > 0) {
    const int8_t *from = input + (y * p->in_w + x + before) * p->in_c;
    const int32_t n = inside * p->in_c;
    int32_t i = 0;
    for (; i + 4 <= n; i += 4) {
      sm_store32(to + i, sm_load32(from + i));
    }
    for (; i < n; ++i) {
      to[i] = from[i];
    }
    sm_fill(to + n, (p->kernel_w - before - inside) * p->in_c, p->padding);
  }
}

/* The window at row y, column x of the image becomes the column that starts at `to`. */
static inline void sm_conv_2d_column(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                     int32_t y, int32_t x, uint32_t *to, int8_t *bytes) {
  const int32_t fours = p->row & ~3;
  const int whole = x >= 0 && x + p->kernel_w <= p->in_w;
  int8_t *rest = bytes + p->row + 3;
  int32_t at = (y * p->in_w + x) * p->in_c;
  for (int32_t i = p->kernel_h; i > 0; --i, ++y, at += p->in_w * p->in_c) {
    const int8_t *from = bytes;
    if (whole && y >= 0 && y < p->in_h) {
      from = input + at;
    } else {
      sm_conv_2d_edge(p, input, y, x, bytes);
    }
    int32_t n = fours;
    for (; n >= 16; n -= 16, from += 16, to += 16) {
      const uint32_t a = sm_load32(from), b = sm_load32(from + 4);
      const uint32_t c = sm_load32(from + 8), d = sm_load32(from + 12);
      sm_widen(to, a);
      sm_widen(to + 4, b);
      sm_widen(to + 8, c);
      sm_widen(to + 12, d);
    }
    for (; n > 0; n -= 4, from += 4, to += 4) {
      sm_widen(to, sm_load32(from));
    }
    for (n = p->row - fours; n > 0; --n) {
      *rest++ = *from++;
    }
  }
  const int8_t *from = bytes + p->row + 3;
  int32_t n = (int32_t)(rest - from);
  for (; n >= 4; n -= 4, from += 4, to += 4) {
    sm_widen(to, sm_load32(from));
  }
  if (n > 0) {
    to[0] = sm_pack16(from[0], n == 1 ? 0 : from[n - 1]);
  }
  if (n == 3) {
    to[2] = sm_pack16(from[1], 0);
  }
}

/* scratch, aligned to 4: 8 * steps bytes for each pair of columns, then row + 3 and
 * 3 * kernel_h. The pixels of `pairs` pairs are read fully before any is written, otherwise in
 * order: `output` may lie over `input` as far as this allows (see block_lead). */
SM_KERNEL void sm_conv_2d_int8_paired(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                      int8_t *output, void *scratch) {
  uint32_t *columns = scratch;
  int8_t *bytes = (int8_t *)(columns + 2 * p->steps * p->pairs);
  int8_t *const first = output;
  const int32_t rest = p->out_c % 4;
  int32_t ox = 0;
  int32_t y = -p->pad_h;
  int32_t x = -p->pad_w;
  for (int32_t left = p->pixels; left > 0;) {
    const int32_t pixels = left == 1 ? 1 : (left / 2 < p->pairs ? left & ~1 : 2 * p->pairs);
    uint32_t *to = columns;
    for (int32_t i = 0; i < pixels; ++i) {
      sm_conv_2d_column(p, input, y, x, to, bytes);
      to += i % 2 ? 2 * p->steps - 1 : 1;
      x += p->stride_w;
      if (++ox == p->out_w) {
        ox = 0;
        x = -p->pad_w;
        y += p->stride_h;
      }
    }
    sm_gemm_int8_paired_call call = {columns,         p->stream, p->steps,      p->out_c / 4,
                                     (pixels + 1) / 2, p->exact,  p->half_point, output, p->out_c};
    if (pixels == 1) { /* the last one: its pair is itself */
      for (int32_t i = 0; i < 2 * p->steps; i += 2) {
        columns[i + 1] = columns[i];
      }
      call.out_stride = 0;
    }
    if (call.groups) {
      sm_gemm_int8_paired(&call);
    }
    if (rest) {
      int8_t few[4 * SM_CONV_2D_MAX_PIXELS];
      call.stream = p->stream + p->tail_stream;
      call.out = few;
      call.out_stride = call.out_stride ? 4 : 0;
      call.groups = 1;
      sm_gemm_int8_paired(&call);
      for (int32_t i = 0; i < pixels; ++i) {
        int8_t *out = output + (i + 1) * p->out_c - rest;
        for (int32_t j = 0; j < rest; ++j) {
          out[j] = few[4 * i + j];
        }
      }
    }
    output += pixels * p->out_c;
    left -= pixels;
  }
  if (p->clamp) {
    for (int8_t *at = first; at < output; ++at) {
      *at = (int8_t)sm_clamp(*at, p->act_min, p->act_max);
    }
  }
}

#endif
