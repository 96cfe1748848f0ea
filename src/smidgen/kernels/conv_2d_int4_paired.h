/* CONV_2D, int8 with int4 weights, for cores with the DSP instructions: any window and stride, one
 * group, no dilation. Weights of four channels at a time (see gemm_int4_paired.h), two pixels. */
#ifndef SM_CONV_2D_INT4_PAIRED_H
#define SM_CONV_2D_INT4_PAIRED_H

#include "columns_int8.h"
#include "common.h"
#include "conv_2d_int8_paired.h"
#include "dsp.h"
#include "gemm_int4_paired.h"

/* Four bytes to the lanes of two steps, as sm_widen4; returns what they add to a sum. */
SM_DSP int32_t sm_widen4_sum(uint32_t *to, uint32_t bytes, int32_t sum) {
  const uint32_t ones = 0x00010001u;
  const uint32_t even = sm_sxtb16(bytes), odd = sm_sxtb16_ror8(bytes);
  to[0] = even;
  to[2] = odd;
  return sm_smlad(odd, ones, sm_smlad(even, ones, sum));
}

/* The first n bytes of each row to one column, as sm_widen_rows does; returns their sum. */
static SM_PART int32_t sm_widen_rows_sum(uint32_t *to, const int8_t *from, int32_t n, int32_t rows,
                                         int32_t stride) {
  int32_t sum = 0;
  do {
    const int8_t *at = from;
    int32_t left = n - 16;
    for (; left >= 0; left -= 16) {
      const uint32_t a = sm_load32(at), b = sm_load32(at + 4);
      const uint32_t c = sm_load32(at + 8), d = sm_load32(at + 12);
      at += 16;
      sum = sm_widen4_sum(to, a, sum);
      sum = sm_widen4_sum(to + 4, b, sum);
      sum = sm_widen4_sum(to + 8, c, sum);
      sum = sm_widen4_sum(to + 12, d, sum);
      to += 16;
    }
    for (left += 16; left > 0; left -= 4) {
      sum = sm_widen4_sum(to, sm_load32(at), sum);
      at += 4;
      to += 4;
    }
    from += stride;
  } while (--rows > 0);
  return sum;
}

/* The sum of what remains of each row behind its fours. */
static SM_PART int32_t sm_sum_rests(const int8_t *from, int32_t n, int32_t rows, int32_t stride) {
  int32_t sum = 0;
  for (; rows > 0; --rows, from += stride) {
    for (int32_t i = 0; i < n; ++i) {
      sum += from[i];
    }
  }
  return sum;
}

/* As sm_conv_2d_int8_paired, with the stream of sm_gemm_int4_paired; `scratch` has 32 bytes more
 * for each pair of columns. */
SM_KERNEL void sm_conv_2d_int4_paired(const sm_conv_2d_int8_paired_params *p, const int8_t *input,
                                      int8_t *output, void *scratch) {
  uint32_t *columns = scratch;
  const int32_t pair_words = SM_INT4_STARTS + 2 * p->steps;
  int8_t *bytes = (int8_t *)(columns + pair_words * p->pairs);
  int8_t *const first = output;
  const int32_t rest = p->out_c % 4;
  const sm_image image = {input, p->in_h, p->in_w, p->in_c, p->padding};
  const int32_t fours = p->row & ~3;
  int32_t ox = 0;
  int32_t y = -p->pad_h;
  int32_t x = -p->pad_w;
  for (int32_t left = p->pixels; left > 0;) {
    const int32_t pixels = left == 1 ? 1 : (left / 2 < p->pairs ? left & ~1 : 2 * p->pairs);
    for (int32_t i = 0; i < pixels; ++i) {
      uint32_t *const pair = columns + i / 2 * pair_words;
      uint32_t *const to = pair + SM_INT4_STARTS + i % 2;
      const int8_t *from = input + (y * p->in_w + x) * p->in_c;
      int32_t stride = p->in_w * p->in_c;
      if (y < 0 || x < 0 || y + p->kernel_h > p->in_h || x + p->kernel_w > p->in_w) {
        sm_copy_window(&image, y, x, p->kernel_h, p->kernel_w, bytes);
        from = bytes;
        stride = p->row;
      }
      int32_t sum = sm_widen_rows_sum(to, from, fours, p->kernel_h, stride);
      if (fours < p->row) {
        const int32_t behind = p->row - fours;
        sm_widen_rests(to + p->kernel_h * fours, from + fours, behind, p->kernel_h, stride);
        sum += sm_sum_rests(from + fours, behind, p->kernel_h, stride);
      }
      sm_int4_start(pair, i % 2 * 2, sum);
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
        columns[SM_INT4_STARTS + i + 1] = columns[SM_INT4_STARTS + i];
      }
      for (int32_t i = 0; i < SM_INT4_STARTS; i += 4) {
        columns[i + 2] = columns[i];
        columns[i + 3] = columns[i + 1];
      }
      call.out_stride = 0;
    }
    if (call.groups) {
      sm_gemm_int4_paired(&call);
    }
    if (rest) {
      int8_t few[4 * SM_CONV_2D_MAX_PIXELS];
      call.stream = p->stream + p->tail_stream;
      call.out = few;
      call.out_stride = call.out_stride ? 4 : 0;
      call.groups = 1;
      sm_gemm_int4_paired(&call);
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
