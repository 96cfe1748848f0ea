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
 * Values of a window are numbered (y, x, channel). Steps take them by fours, (0, 2) then (1, 3); of
 * what remains, one or two share a step and three take two: (0, 2) and (1, none). */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_w, pixels; /* pixels: of the output */
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t out_c;
  int32_t steps;
  int32_t padding; /* the input's zero point */
  int32_t exact, half_point;
  int32_t clamp; /* not 0: outputs are limited to act_min to act_max at last */
  int32_t act_min, act_max;
  int32_t tail_stream; /* words of the stream before the last 1 to 3 channels */
  const int32_t *stream;
} sm_conv_2d_int8_paired_params;

/* n bytes to lanes, for the column that starts at `to`; returns where the next value goes. */
static inline uint32_t *sm_widen_column(uint32_t *to, const int8_t *from, int32_t n) {
  for (; n >= 8; n -= 8, from += 8, to += 8) {
    const uint32_t a = sm_load32(from);
    const uint32_t b = sm_load32(from + 4);
    to[0] = sm_sxtb16(a);
    to[2] = sm_sxtb16_ror8(a);
    to[4] = sm_sxtb16(b);
    to[6] = sm_sxtb16_ror8(b);
  }
  if (n >= 4) {
    const uint32_t a = sm_load32(from);
    to[0] = sm_sxtb16(a);
    to[2] = sm_sxtb16_ror8(a);
    n -= 4, from += 4, to += 4;
  }
  if (n > 0) {
    to[0] = sm_pack16(from[0], n == 1 ? 0 : from[n - 1]);
    to += 2;
  }
  if (n == 3) {
    to[0] = sm_pack16(from[1], 0);
    to += 2;
  }
  return to;
}

/* One row of the window at row y, column x of the image, as bytes or as lanes. */
static inline int8_t *sm_copy_padded(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                     int32_t y, int32_t x, int8_t *to) {
  for (int32_t i = 0; i < p->kernel_w; ++i, ++x) {
    const int inside = y >= 0 && y < p->in_h && x >= 0 && x < p->in_w;
    const int8_t *from = input + (y * p->in_w + x) * p->in_c;
    for (int32_t c = 0; c < p->in_c; ++c) {
      *to++ = inside ? from[c] : (int8_t)p->padding;
    }
  }
  return to;
}

/* The window at row y, column x of the image becomes the column that starts at `to`. */
static __attribute__((noinline)) void sm_conv_2d_column(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                     int32_t y, int32_t x, uint32_t *to, int8_t *bytes) {
  const int32_t row = p->kernel_w * p->in_c;
  const int inside_x = x >= 0 && x + p->kernel_w <= p->in_w;
  const int whole = row % 4 == 0 || p->kernel_h == 1;
  if (whole && inside_x && y >= 0 && y + p->kernel_h <= p->in_h) {
    const int8_t *from = input + (y * p->in_w + x) * p->in_c;
    for (int32_t i = 0; i < p->kernel_h; ++i, from += p->in_w * p->in_c) {
      to = sm_widen_column(to, from, row);
    }
    return;
  }
  int8_t *end = bytes;
  for (int32_t i = 0; i < p->kernel_h; ++i, ++y) {
    end = sm_copy_padded(p, input, y, x, end);
  }
  sm_widen_column(to, bytes, (int32_t)(end - bytes));
}

/* scratch, aligned to 4: 8 * steps bytes for the columns, then kernel_h * kernel_w * in_c bytes.
 * Two pixels are read fully before either is written, otherwise in order: `output` may lie over
 * `input` as far as this allows (see pair_lead). */
SM_KERNEL void sm_conv_2d_int8_paired(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                      int8_t *output, void *scratch) {
  uint32_t *columns = scratch;
  int8_t *bytes = (int8_t *)(columns + 2 * p->steps);
  int8_t *const first = output;
  sm_gemm_int8_paired_call call = {columns,  p->stream,     p->steps, p->out_c / 4,
                                   p->exact, p->half_point, {output, output}};
  int32_t ox = 0;
  int32_t y = -p->pad_h;
  int32_t x = -p->pad_w;
  for (int32_t left = p->pixels; left > 0; left -= 2) {
    for (int32_t i = 0; i < 2; ++i) {
      sm_conv_2d_column(p, input, y, x, columns + i, bytes);
      call.out[i] = output;
      if (i == 0 && left == 1) {
        continue; /* the last pixel is computed twice */
      }
      output += p->out_c;
      x += p->stride_w;
      if (++ox == p->out_w) {
        ox = 0;
        x = -p->pad_w;
        y += p->stride_h;
      }
    }
    const int32_t rest = p->out_c % 4;
    if (call.groups) {
      sm_gemm_int8_paired(&call);
    }
    if (rest) {
      int8_t few[2][4];
      sm_gemm_int8_paired_call tail = call;
      tail.stream = p->stream + p->tail_stream;
      tail.groups = 1;
      tail.out[0] = few[0];
      tail.out[1] = few[1];
      sm_gemm_int8_paired(&tail);
      for (int32_t i = 0; i < rest; ++i) {
        call.out[0][4 * call.groups + i] = few[0][i];
        call.out[1][4 * call.groups + i] = few[1][i];
      }
    }
  }
  if (p->clamp) {
    for (int8_t *at = first; at < output; ++at) {
      *at = (int8_t)sm_clamp(*at, p->act_min, p->act_max);
    }
  }
}

#endif
