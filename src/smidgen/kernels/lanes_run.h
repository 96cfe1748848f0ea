/* Runs of sums of lanes.h and their outputs: in C, for cores that lanes_thumb1.h is not for. */
#ifndef SM_LANES_RUN_H
#define SM_LANES_RUN_H

#include "common.h"
#include "lanes.h"
#include "lanes_thumb1.h"
#include "requantize.h"
#include "requantize_short.h"

#if !SM_HAS_THUMB1

/* The sums of one item, from its words, and its outputs. */
static inline void sm_lanes_finish(sm_lanes_run *run, sm_lanes sums) {
  sm_lanes_apart(sums, run->sums);
  if (run->lines) {
    int8_t *out = run->out;
    for (int32_t i = 0; i < run->pixels; ++i, out += run->pixel_step) {
      *out = sm_on_line(run->sums[i], run->lines, run->shift, run->low, run->high);
    }
  }
}

/* Channels: weights are bytes with 128 added, one channel's behind the other's, and have a line
 * each; outputs lie side by side. */
static SM_PART void sm_lanes_run_bytes(sm_lanes_run *run) {
  const uint8_t *weights = run->weights;
  for (; run->items > 0; --run->items) {
    const uint32_t *x = run->x;
    sm_lanes sums = run->none;
    int32_t n = run->n;
    for (; n >= 4; n -= 4, x += 12, weights += 4) {
      const uint32_t w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
      sums.one += x[0] * w0 + x[3] * w1 + x[6] * w2 + x[9] * w3;
      sums.two += x[1] * w0 + x[4] * w1 + x[7] * w2 + x[10] * w3;
      sums.three += x[2] * w0 + x[5] * w1 + x[8] * w2 + x[11] * w3;
    }
    for (; n > 0; --n, x += 3, ++weights) {
      sums.one += x[0] * weights[0];
      sums.two += x[1] * weights[0];
      sums.three += x[2] * weights[0];
    }
    sm_lanes_finish(run, sums);
    if (!run->lines) {
      return;
    }
    ++run->lines;
    ++run->out;
  }
}

/* Columns: weights are words, and they and their line are those of all items. */
static SM_PART void sm_lanes_run_words(sm_lanes_run *run) {
  for (; run->items > 0; --run->items) {
    const uint32_t *x = run->x, *weights = run->weights;
    sm_lanes sums = run->none;
    for (int32_t i = 0; i < run->n; ++i, x += 3) {
      sums.one += x[0] * weights[i];
      sums.two += x[1] * weights[i];
      sums.three += x[2] * weights[i];
    }
    sm_lanes_finish(run, sums);
    if (!run->lines) {
      return;
    }
    run->x = (const uint32_t *)(const void *)((const char *)run->x + run->x_step);
    run->out += run->out_step;
  }
}
#endif

/* How outputs are made where they have no lines: rounded twice. */
typedef struct {
  int32_t multiplier, bias, shift;
  int32_t offset, low, high;
} sm_lanes_exact;

/* Outputs of the sums of a run's item. */
static SM_PART void sm_lanes_round_twice(const sm_lanes_run *run, const sm_lanes_exact *exact,
                                         int8_t *out) {
  for (int32_t i = 0; i < run->pixels; ++i, out += run->pixel_step) {
    const int32_t sum = run->sums[i] + exact->bias;
    const int32_t scaled = sm_requantize(sum, exact->multiplier, exact->shift) + exact->offset;
    *out = (int8_t)sm_clamp(scaled, exact->low, exact->high);
  }
}

#endif
