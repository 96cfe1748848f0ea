/* int4 weights: two to a byte, in order, the first in the low half. */
#ifndef SM_INT4_H
#define SM_INT4_H

#include "common.h"

/* The first and the second of the two weights in a byte. */
static inline int32_t sm_int4_low(int32_t byte) {
  return (int8_t)(uint8_t)((uint32_t)byte << 4) >> 4;
}
static inline int32_t sm_int4_high(int32_t byte) { return byte >> 4; }

/* acc + the sum of (in[i] + offset) * weight number first + i, for i < n. */
static inline int32_t sm_int4_dot(int32_t acc, const int8_t *in, int32_t offset,
                                  const int8_t *packed, int32_t first, int32_t n) {
  const int8_t *w = packed + first / 2;
  if (first % 2 != 0 && n > 0) {
    acc += (*in++ + offset) * sm_int4_high(*w++);
    --n;
  }
  for (; n >= 2; n -= 2, in += 2) {
    const int32_t both = *w++;
    acc += (in[0] + offset) * sm_int4_low(both) + (in[1] + offset) * sm_int4_high(both);
  }
  return n > 0 ? acc + (*in + offset) * sm_int4_low(*w) : acc;
}

/* The first n weights, one to a byte. */
static SM_PART void sm_int4_unpack(int8_t *to, const int8_t *packed, int32_t n) {
  for (; n >= 2; n -= 2, to += 2) {
    const int32_t both = *packed++;
    to[0] = (int8_t)sm_int4_low(both);
    to[1] = (int8_t)sm_int4_high(both);
  }
  if (n > 0) {
    *to = (int8_t)sm_int4_low(*packed);
  }
}

#endif
