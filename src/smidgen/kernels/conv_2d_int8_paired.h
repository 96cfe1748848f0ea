/* CONV_2D, int8, for cores with the DSP instructions: any window and stride, one group, no
 * dilation. Weights of two channels at a time (see gemm_int8_paired.h), two pixels at a time. */
#ifndef SM_CONV_2D_INT8_PAIRED_H
#define SM_CONV_2D_INT8_PAIRED_H

#include "columns_int8.h"
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

/* What remains of each row behind its fours. */
static SM_PART void sm_widen_rests(uint32_t *to, const int8_t *from, int32_t n, int32_t rows,
                                   int32_t stride) {
  int8_t four[4];
  int32_t held = 0;
  for (; rows > 0; --rows, from += stride) {
    for (int32_t i = 0; i < n; ++i) {
      four[held++] = from[i];
      if (held == 4) {
        sm_widen4(to, sm_load32(four));
        to += 4;
        held = 0;
      }
    }
  }
  if (held > 0) {
    to[0] = sm_pack16(four[0], held == 1 ? 0 : four[held - 1]);
  }
  if (held == 3) {
    to[2] = sm_pack16(four[1], 0);
  }
}

/* scratch, aligned to 4: 8 * steps bytes for each pair of columns, then one
 * window and three bytes. The pixels of `pairs` pairs are read fully before any is written,
 * otherwise in order: `output` may lie over `input` as far as this allows (see block_lead). */
SM_KERNEL void sm_conv_2d_int8_paired(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                      int8_t *output, void *scratch) {
  uint32_t *columns = scratch;
  int8_t *bytes = (int8_t *)(columns + 2 * p->steps * p->pairs);
  int8_t *const first = output;
  const int32_t rest = p->out_c % 4;
  const sm_image image = {input, p->in_h, p->in_w, p->in_c, p->padding};
  const int32_t fours = p->row & ~3;
  int32_t ox = 0;
  int32_t y = -p->pad_h;
  int32_t x = -p->pad_w;
  for (int32_t left = p->pixels; left > 0;) {
    const int32_t pixels = left == 1 ? 1 : (left / 2 < p->pairs ? left & ~1 : 2 * p->pairs);
    uint32_t *to = columns;
    for (int32_t i = 0; i < pixels; ++i) {
      const int8_t *from = input + (y * p->in_w + x) * p->in_c;
      int32_t stride = p->in_w * p->in_c;
      if (y < 0 || x < 0 || y + p->kernel_h > p->in_h || x + p->kernel_w > p->in_w) {
        sm_copy_window(&image, y, x, p->kernel_h, p->kernel_w, bytes);
        from = bytes;
        stride = p->row;
      }
      uint32_t *behind = sm_widen_rows(to, from, fours, p->kernel_h, stride);
      if (fours < p->row) {
        sm_widen_rests(behind, from + fours, p->row - fours, p->kernel_h, stride);
      }
      to += i % 2 ? 2 * p->steps - 1 : 1;
      x += p->stride_w;
      if (++ox == p->out_w) {
        ox = 0;
        x = -p->pad_w;
        y += p->stride_h;
      }
    }
    sm_gemm_int8_paired_call call = {columns,       p->stream,        p->steps,
                                     p->out_c / 4,  (pixels + 1) / 2, p->exact,
                                     p->half_point, output,           p->out_c};
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
