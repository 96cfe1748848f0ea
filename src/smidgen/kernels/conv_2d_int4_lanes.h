/* CONV_2D, int8 with int4 weights, for cores without SIMD: any window, stride and dilation, one
 * group. Weights become bytes before they meet four pixels at a time (see lanes.h). */
#ifndef SM_CONV_2D_INT4_LANES_H
#define SM_CONV_2D_INT4_LANES_H

#include "common.h"
#include "conv_2d_int8_lanes.h"
#include "lanes_run.h"

/* n weights, eight to a word, to bytes with 128 added; up to seven more are written. */
static inline const uint32_t *sm_conv_2d_int4_lanes_unpack(uint32_t *to, const uint32_t *packed,
                                                           int32_t n) {
  const uint32_t halves = 0x0f0f0f0fu, offset = 0x78787878u;
  for (; n > 0; n -= 8, to += 2) {
    const uint32_t eight = *packed++;
    to[0] = (eight & halves) + offset;
    to[1] = (eight >> 4 & halves) + offset;
  }
  return packed;
}

/* Two channels at a time, as sm_lanes_channels computes them. */
static SM_PART void sm_conv_2d_int4_lanes_channels(sm_lanes_run *run, uint32_t *bytes) {
  const uint32_t *packed = run->weights;
  for (int32_t i = 0; i < run->items; i += 2) {
    sm_lanes_run two = *run;
    two.items = run->items - i > 1 ? 2 : 1;
    packed = sm_conv_2d_int4_lanes_unpack(bytes, packed, two.items * run->n);
    two.weights = bytes;
    two.out += i;
    if (two.lines) {
      two.lines += i;
    } else {
      two.exact.multiplier += i;
      two.exact.bias += i;
      two.exact.shifts += i;
    }
    sm_lanes_channels(&two);
  }
}

/* As sm_conv_2d_int8_lanes, but for p->packed: the weights of two channels, one behind the other,
 * eight to a word and filled up to words, then of the next two. Each has 8 added. Of the eight in a
 * word the first four are the low halves of its bytes, the lowest first. `scratch` has room for
 * them as bytes, 2 * depth, in whole words and filled up to eights. */
SM_KERNEL void sm_conv_2d_int4_lanes(const sm_conv_2d_int8_lanes_params *p, const int8_t *input,
                                     int8_t *output, void *scratch) {
  sm_conv_2d_lanes(p, input, output, scratch, sm_conv_2d_int4_lanes_channels);
}

#endif
