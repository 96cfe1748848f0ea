/* DEPTHWISE_CONV_2D, int8, for cores without SIMD: any window and stride, rows in one piece; four
 * rows of the output at a time in three words (see lanes.h). */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_LANES_H
#define SM_DEPTHWISE_CONV_2D_INT8_LANES_H

#include "common.h"
#include "lanes.h"
#include "lanes_run.h"

/* weights: (channels, kernel_w, kernel_h); the magnitudes of a channel's, times 128, sum up to
 * less than 2^23. Input channel c makes the outputs from c * depth_multiplier on. columns: of the
 * image with its padding, as far as windows reach. padding: the input's zero point; it is folded
 * into lines and biases. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h;
  int32_t pad_h, pad_w;
  int32_t depth_multiplier, columns;
  int32_t by_channel;
  int32_t padding, output_offset;
  int32_t act_min, act_max;
  int32_t shift;             /* of lines */
  const int32_t *lines;      /* multiplier and addend for each output channel, or NULL */
  const int32_t *multiplier; /* without lines: for each output channel */
  const int32_t *bias;
  const int8_t *shifts;
  const int8_t *weights;
} sm_depthwise_conv_2d_int8_lanes_params;

/* The words of one channel: 3 for each row of the window in each column of the image. */
static SM_PART void
sm_depthwise_conv_2d_int8_lanes_fill(const sm_depthwise_conv_2d_int8_lanes_params *p,
                                     const int8_t *channel, int32_t oy, uint32_t *words) {
  const int8_t border = (int8_t)p->padding;
  const int32_t reached = p->columns - p->pad_w;
  const int32_t columns = reached < p->in_w ? reached : p->in_w;
  const int32_t row = p->in_w * p->in_c, down = p->stride_h * row;
  int32_t y = oy * p->stride_h - p->pad_h;
  const int32_t last = y + 3 * p->stride_h + (p->kernel_h - 1) * p->dilation_h;
  const int8_t *from = channel + y * row;
  if (y >= 0 && last < p->in_h && oy + 4 <= p->out_h) {
    sm_lanes_values values;
    values.end = columns * p->in_c;
    values.step = p->in_c;
    values.next = 12 * p->kernel_h;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, from += p->dilation_h * row, words += 3) {
      values.from[0] = from;
      values.from[1] = from + down;
      values.from[2] = from + 2 * down;
      values.from[3] = from + 3 * down;
      values.to = words;
      values.sums.one = values.sums.two = values.sums.three = 0; /* nobody needs them */
      sm_lanes_widen(&values);
    }
    return;
  }
  for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h, words += 3) {
    const int8_t *at[4];
    int32_t step[4];
    int32_t yi = y;
    for (int32_t i = 0; i < 4; ++i) { /* beyond the last row: some row */
      const int32_t inside = yi >= 0 && yi < p->in_h && oy + i < p->out_h;
      at[i] = inside ? channel + yi * row : &border;
      step[i] = inside ? p->in_c : 0;
      yi += p->stride_h;
    }
    const int8_t *a = at[0], *b = at[1], *c = at[2], *d = at[3];
    uint32_t *to = words;
    for (int32_t i = 0; i < columns; ++i, to += 3 * p->kernel_h) {
      sm_lanes_put(to, *a, *b, *c, *d);
      a += step[0];
      b += step[1];
      c += step[2];
      d += step[3];
    }
  }
}

/* Four rows, or the last ones, of one output channel. */
static SM_PART void
sm_depthwise_conv_2d_int8_lanes_rows(const sm_depthwise_conv_2d_int8_lanes_params *p,
                                     const uint32_t *words, const uint32_t *weights, int32_t oc,
                                     int32_t oy, int8_t *output) {
  const int32_t out_c = p->in_c * p->depth_multiplier, out_row = p->out_w * out_c;
  sm_lanes_run run;
  run.x = words;
  run.weights = weights;
  run.n = p->kernel_h * p->kernel_w;
  run.none.one = run.none.two = run.none.three = 0;
  run.lines = p->lines ? (const sm_line *)(const void *)p->lines + oc : NULL;
  run.shift = p->shift;
  run.low = p->act_min;
  run.high = p->act_max;
  run.out = output + oy * out_row + oc;
  run.pixel_step = out_row;
  run.pixels = p->out_h - oy < 4 ? p->out_h - oy : 4;
  run.items = p->out_w;
  run.x_step = 12 * p->kernel_h * p->stride_w;
  run.out_step = out_c;
  if (!p->lines) {
    run.exact.multiplier = p->multiplier + oc;
    run.exact.bias = p->bias + oc;
    run.exact.shifts = p->shifts + oc;
    run.exact.offset = p->output_offset;
  }
  sm_lanes_columns(&run);
}

/* Weights of one output channel as words. */
static inline void sm_depthwise_conv_2d_int8_lanes_widen(uint32_t *to, const int8_t *weights,
                                                         int32_t n) {
  for (int32_t i = 0; i < n; ++i) {
    to[i] = (uint32_t)weights[i];
  }
}

/* scratch, aligned to 4: 12 * columns * kernel_h bytes, twice if by_channel, and
 * 4 * kernel_h * kernel_w.
 *
 * by_channel: one channel is computed after the other, and four rows are read before the four
 * above them are written: `output` may be `input` where both have one shape and at most four rows
 * of padding are above the first. Otherwise four rows are computed after the other: `output` may
 * lie over `input` as far as that allows. */
SM_KERNEL void sm_depthwise_conv_2d_int8_lanes(const sm_depthwise_conv_2d_int8_lanes_params *p,
                                               const int8_t *input, int8_t *output, void *scratch) {
  const int32_t column = 3 * p->kernel_h, taps = p->kernel_h * p->kernel_w;
  const int32_t block = p->columns * column, image = p->pad_w * column;
  const int8_t border = (int8_t)p->padding;
  uint32_t *words = scratch, *next = words + (p->by_channel ? block : 0);
  uint32_t *const wide = next + block;
  for (uint32_t *to = words; to != wide; to += 3) { /* columns of padding stay */
    sm_lanes_put(to, border, border, border, border);
  }
  if (p->by_channel) {
    for (int32_t c = 0; c < p->in_c; ++c) {
      sm_depthwise_conv_2d_int8_lanes_widen(wide, p->weights + c * taps, taps);
      sm_depthwise_conv_2d_int8_lanes_fill(p, input + c, 0, words + image);
      for (int32_t oy = 0; oy < p->out_h; oy += 4) {
        if (oy + 4 < p->out_h) {
          sm_depthwise_conv_2d_int8_lanes_fill(p, input + c, oy + 4, next + image);
        }
        sm_depthwise_conv_2d_int8_lanes_rows(p, words, wide, c, oy, output);
        uint32_t *const other = words;
        words = next;
        next = other;
      }
    }
    return;
  }
  for (int32_t oy = 0; oy < p->out_h; oy += 4) {
    const int8_t *weights = p->weights;
    int32_t oc = 0;
    for (int32_t c = 0; c < p->in_c; ++c) {
      sm_depthwise_conv_2d_int8_lanes_fill(p, input + c, oy, words + image);
      for (int32_t i = 0; i < p->depth_multiplier; ++i, ++oc, weights += taps) {
        sm_depthwise_conv_2d_int8_lanes_widen(wide, weights, taps);
        sm_depthwise_conv_2d_int8_lanes_rows(p, words, wide, oc, oy, output);
      }
    }
  }
}

#endif
