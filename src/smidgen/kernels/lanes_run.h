/* Runs of sums of lanes.h, and their outputs. */
#ifndef SM_LANES_RUN_H
#define SM_LANES_RUN_H

#include "common.h"
#include "lanes.h"
#include "lanes_thumb1.h"
#include "requantize.h"
#include "requantize_short.h"
#include "thumb1.h"

/* Values to words; there is at least one of each pixel. Afterwards `to` is where the next go. */
static SM_PART void sm_lanes_widen(sm_lanes_values *values) {
#if SM_HAS_THUMB1
  sm_lanes_thumb1_widen(values);
#else
  const int8_t *a = values->from[0], *b = values->from[1], *c = values->from[2],
               *d = values->from[3];
  const int32_t step = values->step, next = values->next / 4;
  uint32_t *to = values->to;
  sm_lanes sums = values->sums;
  for (int32_t i = 0; i != values->end; i += step, to += next) {
    sm_lanes_put(to, a[i], b[i], c[i], d[i]);
    sums.one += to[0];
    sums.two += to[1];
    sums.three += to[2];
  }
  values->to = to;
  values->sums = sums;
#endif
}

/* Outputs of the sums of an item, rounded twice. */
static SM_PART void sm_lanes_round_twice(const sm_lanes_run *run) {
  int8_t *out = run->out;
  const int32_t multiplier = *run->exact.multiplier, shift = *run->exact.shifts;
  const int32_t bias = *run->exact.bias, offset = run->exact.offset;
  const int32_t low = run->low, high = run->high;
  const int32_t pixels = run->pixels, step = run->pixel_step;
  for (int32_t i = 0; i < pixels; ++i, out += step) {
    const int32_t scaled = sm_requantize(run->sums[i] + bias, multiplier, shift);
    *out = (int8_t)sm_clamp(scaled + offset, low, high);
  }
}

/* The next channel's factors. */
static inline void sm_lanes_next_channel(sm_lanes_run *run) {
  if (run->lines) {
    ++run->lines;
  } else {
    ++run->exact.multiplier;
    ++run->exact.bias;
    ++run->exact.shifts;
  }
  ++run->out;
}

#if SM_HAS_THUMB1

/* See below. */
static SM_PART void sm_lanes_channels(sm_lanes_run *run) {
  if (run->lines) {
    sm_lanes_thumb1_bytes(run);
    return;
  }
  const uint8_t *weights = run->weights;
  for (int32_t items = run->items; items > 0; --items, weights += run->n) {
    run->weights = weights;
    sm_lanes_thumb1_bytes(run);
    sm_lanes_round_twice(run);
    sm_lanes_next_channel(run);
  }
}

static SM_PART void sm_lanes_columns(sm_lanes_run *run) {
  if (run->lines) {
    sm_lanes_thumb1_words(run);
    return;
  }
  for (int32_t items = run->items; items > 0; --items) {
    sm_lanes_thumb1_words(run);
    sm_lanes_round_twice(run);
    run->x += run->x_step / 4;
    run->out += run->out_step;
  }
}

#else

/* The outputs of an item. Stores of bytes may change anything that is not held in a variable. */
static inline void sm_lanes_finish(sm_lanes_run *run, sm_lanes sums) {
  if (!run->lines) {
    sm_lanes_apart(sums, run->sums);
    sm_lanes_round_twice(run);
    return;
  }
  const sm_line line = *run->lines;
  const int32_t shift = run->shift, low = run->low, high = run->high;
  const int32_t step = run->pixel_step, pixels = run->pixels;
  int8_t *out = run->out;
  int32_t apart[4];
  sm_lanes_apart(sums, apart);
  if (pixels == 4) {
    out[0] = sm_on_line(apart[0], &line, shift, low, high);
    out[step] = sm_on_line(apart[1], &line, shift, low, high);
    out[2 * step] = sm_on_line(apart[2], &line, shift, low, high);
    out[3 * step] = sm_on_line(apart[3], &line, shift, low, high);
    return;
  }
  for (int32_t i = 0; i < pixels; ++i, out += step) {
    *out = sm_on_line(apart[i], &line, shift, low, high);
  }
}

/* One weight times three words. */
static inline sm_lanes sm_lanes_step(sm_lanes sums, const uint32_t *x, uint32_t weight) {
  sums.one += x[0] * weight;
  sums.two += x[1] * weight;
  sums.three += x[2] * weight;
  return sums;
}

/* Channels: weights are bytes with 128 added, one channel's behind the other's, and have a line
 * each; outputs lie side by side. Two channels at a time share what they load. */
static SM_PART void sm_lanes_channels(sm_lanes_run *run) {
  const uint8_t *a = run->weights;
  const int32_t depth = run->n;
  for (int32_t left = run->items; left > 0; left -= 2) {
    const uint8_t *b = left > 1 ? a + depth : a;
    const uint32_t *x = run->x;
    sm_lanes first = run->none, second = run->none;
    int32_t n = depth;
    for (; n >= 2; n -= 2, x += 6, a += 2, b += 2) {
      first = sm_lanes_step(first, x, a[0]);
      second = sm_lanes_step(second, x, b[0]);
      first = sm_lanes_step(first, x + 3, a[1]);
      second = sm_lanes_step(second, x + 3, b[1]);
    }
    if (n > 0) {
      first = sm_lanes_step(first, x, *a);
      second = sm_lanes_step(second, x, *b);
      ++a;
      ++b;
    }
    a = b;
    sm_lanes_finish(run, first);
    sm_lanes_next_channel(run);
    if (left > 1) {
      sm_lanes_finish(run, second);
      sm_lanes_next_channel(run);
    }
  }
}

/* Columns: weights are words, and they and their line are those of all items. */
static SM_PART void sm_lanes_columns(sm_lanes_run *run) {
  for (int32_t left = run->items; left > 0; --left) {
    const uint32_t *x = run->x, *weights = run->weights;
    sm_lanes sums = run->none;
    int32_t n = run->n;
    for (; n >= 3; n -= 3, x += 9, weights += 3) {
      sums = sm_lanes_step(sums, x, weights[0]);
      sums = sm_lanes_step(sums, x + 3, weights[1]);
      sums = sm_lanes_step(sums, x + 6, weights[2]);
    }
    for (; n > 0; --n, x += 3, ++weights) {
      sums = sm_lanes_step(sums, x, *weights);
    }
    sm_lanes_finish(run, sums);
    run->x += run->x_step / 4;
    run->out += run->out_step;
  }
}
#endif

#endif
