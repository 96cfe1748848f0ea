/* CONV_2D, int8 with int4 weights, for cores with the DSP instructions: any window and stride, one
 * group, no dilation. Weights of four channels at a time (see gemm_int4_paired.h), two pixels. */
#ifndef SM_CONV_2D_INT4_PAIRED_H
#define SM_CONV_2D_INT4_PAIRED_H

#include "columns_int8.h"
#include "common.h"
#include "conv_2d_paired.h"
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

static SM_PART int32_t sm_sum_rests(const int8_t *from, int32_t n) {
  int32_t sum = 0;
  for (; n > 0; --n) {
    sum += *from++;
  }
  return sum;
}

/* As sm_conv_2d_int8_paired, with the stream of sm_gemm_int4_paired; `scratch` has 32 bytes more
 * for each pair of columns. */
SM_KERNEL void sm_conv_2d_int4_paired(const sm_conv_2d_paired_params *p, const int8_t *input,
                                      int8_t *output, void *scratch) {
  uint32_t *const columns = scratch;
  const int32_t pair_words = SM_INT4_STARTS + 2 * p->steps;
  int8_t *const window = (int8_t *)(columns + pair_words * p->pairs);
  const int32_t row = p->kernel_w * p->in_c;
  const int32_t rest = row % 4;
  int8_t *const rests = window + p->kernel_h * row + 3;
  int8_t *const first = output;
  const sm_image image = {input, p->in_h, p->in_w, p->in_c, p->padding};
  int32_t held = 0;
  for (int32_t oy = 0, y = -p->pad_h; oy < p->out_h; ++oy, y += p->stride_h) {
    const int32_t high = y >= 0 && y + p->kernel_h <= p->in_h;
    for (int32_t ox = 0, x = -p->pad_w; ox < p->out_w; ++ox, x += p->stride_w) {
      const int8_t *from = input + (y * p->in_w + x) * p->in_c;
      int32_t stride = p->in_w * p->in_c;
      if (!high || x < 0 || x + p->kernel_w > p->in_w) {
        sm_copy_window(&image, y, x, p->kernel_h, p->kernel_w, window);
        from = window;
        stride = row;
      }
      uint32_t *const pair = columns + held / 2 * pair_words;
      uint32_t *const to = pair + SM_INT4_STARTS + held % 2;
      int32_t sum = sm_widen_rows_sum(to, from, row - rest, p->kernel_h, stride);
      if (rest > 0) {
        sm_copy_rests(rests, from, rest, row, p->kernel_h, stride);
        sm_widen(to + p->kernel_h * (row - rest), rests, p->kernel_h * rest);
        sum += sm_sum_rests(rests, p->kernel_h * rest);
      }
      sm_int4_start(pair, held % 2 * 2, sum);
      if (++held == 2 * p->pairs) {
        output =
            sm_conv_2d_outputs_by(sm_gemm_int4_paired, p, columns, 4 * pair_words, held, output);
        held = 0;
      }
    }
  }
  if (held > 0) {
    sm_conv_2d_outputs_by(sm_gemm_int4_paired, p, columns, 4 * pair_words, held, output);
  }
  sm_conv_2d_limit(p, first);
}

#endif
