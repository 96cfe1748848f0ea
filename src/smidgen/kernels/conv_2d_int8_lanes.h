/* CONV_2D, int8, for cores without SIMD: any window, stride and dilation, one group; four pixels
 * at a time in three words (see lanes.h). */
#ifndef SM_CONV_2D_INT8_LANES_H
#define SM_CONV_2D_INT8_LANES_H

#include "common.h"
#include "lanes.h"
#include "lanes_run.h"

/* weights: (out_c, kernel_h, kernel_w, in_c), each with 128 added, since loads that do not extend a
 * sign are the cheaper ones: sums start from -128 times the sum of words. The magnitudes of a
 * channel's weights, times 128, sum up to less than 2^23. padding: the input's zero point; it is
 * folded into lines and biases. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_w, pixels; /* pixels: of the output */
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t depth; /* kernel_h * kernel_w * in_c */
  int32_t out_c;
  int32_t padding, output_offset;
  int32_t act_min, act_max;
  int32_t shift;             /* of lines */
  const int32_t *lines;      /* multiplier and addend for each output channel, or NULL */
  const int32_t *multiplier; /* without lines: for each output channel */
  const int32_t *bias;
  const int8_t *shifts;
  const uint8_t *weights;
  const uint32_t *packed; /* int4 weights instead (see conv_2d_int4_lanes.h), or NULL */
} sm_conv_2d_int8_lanes_params;

/* Where the windows of four pixels begin. */
typedef struct {
  int32_t y[4], x[4];
} sm_lanes_windows;

/* The words of four windows, and what sums start from; behind the words in_c bytes of padding. */
static SM_PART void sm_conv_2d_int8_lanes_fill(const sm_conv_2d_int8_lanes_params *p,
                                               const int8_t *input, const sm_lanes_windows *at,
                                               uint32_t *words, sm_lanes *none) {
  const int8_t *const border = (const int8_t *)(words + 3 * p->depth);
  int32_t run = p->dilation_w == 1 || p->kernel_w == 1; /* whether rows are in one piece */
  for (int32_t i = 0; i < 4; ++i) {
    run &= at->y[i] >= 0 && at->y[i] + (p->kernel_h - 1) * p->dilation_h < p->in_h;
    run &= at->x[i] >= 0 && at->x[i] + p->kernel_w <= p->in_w;
  }
  const int32_t pieces = run ? 1 : p->kernel_w;
  sm_lanes_values values;
  values.to = words;
  values.end = run ? p->kernel_w * p->in_c : p->in_c;
  values.step = 1;
  values.next = 12;
  values.sums.one = values.sums.two = values.sums.three = 0;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    for (int32_t kx = 0; kx < pieces; ++kx) {
      for (int32_t i = 0; i < 4; ++i) {
        const int32_t y = at->y[i] + ky * p->dilation_h;
        const int32_t x = at->x[i] + kx * p->dilation_w;
        const int32_t inside = y >= 0 && y < p->in_h && x >= 0 && x < p->in_w;
        values.from[i] = inside ? input + (y * p->in_w + x) * p->in_c : border;
      }
      sm_lanes_widen(&values);
    }
  }
  none->one = 0u - 128u * values.sums.one;
  none->two = 0u - 128u * values.sums.two;
  none->three = 0u - 128u * values.sums.three;
}

/* Makes the outputs of four pixels; the second operand is the scratch behind words and padding. */
typedef void (*sm_conv_2d_lanes_channels)(sm_lanes_run *run, uint32_t *behind);

/* All pixels. */
static SM_PART void sm_conv_2d_lanes(const sm_conv_2d_int8_lanes_params *p, const int8_t *input,
                                     int8_t *output, void *scratch,
                                     sm_conv_2d_lanes_channels channels) {
  uint32_t *const words = scratch;
  memset(words + 3 * p->depth, p->padding, (size_t)p->in_c);
  int32_t ox = 0;
  int32_t y = -p->pad_h;
  int32_t x = -p->pad_w;
  for (int32_t left = p->pixels; left > 0; left -= 4) {
    sm_lanes_windows at;
    for (int32_t i = 0; i < 4; ++i) { /* beyond the last pixel: its window again */
      at.y[i] = y;
      at.x[i] = x;
      if (i + 1 < left) {
        x += p->stride_w;
        if (++ox == p->out_w) {
          ox = 0;
          x = -p->pad_w;
          y += p->stride_h;
        }
      }
    }
    sm_lanes_run run;
    sm_conv_2d_int8_lanes_fill(p, input, &at, words, &run.none);
    run.x = words;
    run.weights = p->packed ? (const void *)p->packed : p->weights;
    run.n = p->depth;
    run.lines = (const sm_line *)(const void *)p->lines;
    run.shift = p->shift;
    run.low = p->act_min;
    run.high = p->act_max;
    run.out = output;
    run.pixel_step = p->out_c;
    run.pixels = left < 4 ? left : 4;
    run.items = p->out_c;
    run.exact.multiplier = p->multiplier;
    run.exact.bias = p->bias;
    run.exact.shifts = p->shifts;
    run.exact.offset = p->output_offset;
    output += run.pixels * p->out_c;
    channels(&run, words + 3 * p->depth + (p->in_c + 3) / 4);
  }
}

static inline void sm_conv_2d_int8_lanes_channels(sm_lanes_run *run, uint32_t *behind) {
  (void)behind;
  sm_lanes_channels(run);
}

/* scratch, aligned to 4: 12 * depth + in_c bytes. Four pixels are read fully before any of them is
 * written, otherwise in order: `output` may lie over `input` as far as this allows (see
 * block_lead). */
SM_KERNEL void sm_conv_2d_int8_lanes(const sm_conv_2d_int8_lanes_params *p, const int8_t *input,
                                     int8_t *output, void *scratch) {
  sm_conv_2d_lanes(p, input, output, scratch, sm_conv_2d_int8_lanes_channels);
}

#endif
