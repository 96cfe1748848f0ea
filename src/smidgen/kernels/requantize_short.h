/* From sums to int8 by a line (see numerics/short_line.py): two multiplications on any core. */
#ifndef SM_REQUANTIZE_SHORT_H
#define SM_REQUANTIZE_SHORT_H

#include "common.h"
#include "requantize.h"

/* (sum * multiplier) >> 16, cut to 32 bits. sum: of 24 bits. multiplier: not negative. */
static inline int32_t sm_mul_drop16(int32_t sum, int32_t multiplier) {
#if SM_HAS_LONG_MULTIPLY
  return (int32_t)(((int64_t)sum * multiplier) >> 16);
#else
  /* No part leaves 32 bits: the lower half of the multiplier meets 16 and then 8 bits of sum. */
  const int32_t upper = multiplier >> 16, lower = multiplier & 0xffff;
  const int32_t low = ((sum & 0xff) * lower) >> 8;
  return sum * upper + (((sum >> 8) * lower + low) >> 8);
#endif
}

/* The line of one channel. Shift and limits are those of its layer. */
typedef struct {
  int32_t multiplier, addend;
} sm_line;

static inline int8_t sm_on_line(int32_t sum, const sm_line *line, int32_t shift, int32_t low,
                                int32_t high) {
  const int32_t scaled = (sm_mul_drop16(sum, line->multiplier) + line->addend) >> shift;
  return (int8_t)sm_clamp(scaled, low, high);
}

#endif
