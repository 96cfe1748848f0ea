/* SOFTMAX over the last axis, int16 to int16 (output scale 2^-15). */
#ifndef SM_SOFTMAX_INT16_H
#define SM_SOFTMAX_INT16_H

#include "common.h"
#include "requantize.h"

/* multiplier, shift: a distance from a row's maximum to steps of 10 / 65535; shift up to 15.
 * exponentials, reciprocals: 513 values each, e^x from -10 to 0 and 1 / (1 + x) from 0 to 1, in
 * Q0.15. depth: 1 to 65,535. */
typedef struct {
  int32_t rows, depth;
  int32_t multiplier, shift;
  const int16_t *exponentials;
  const int16_t *reciprocals;
} sm_softmax_int16_params;

/* A table of 513 values at -2^15 to 2^15, straight lines in between. x is limited to int16. */
static inline int32_t sm_line_int16(const int16_t *table, int32_t x) {
  const int32_t value = sm_clamp(x, -32768, 32767);
  const int16_t *at = table + 256 + (value >> 7);
  return at[0] + (((at[1] - at[0]) * (value & 0x7f) + 64) >> 7);
}

/* May compute in place: the exponentials are kept in the output. */
SM_KERNEL void sm_softmax_int16(const sm_softmax_int16_params *p, const int16_t *input,
                                int16_t *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    int32_t max = -32768;
    for (int32_t c = 0; c < p->depth; ++c) {
      max = input[c] > max ? input[c] : max;
    }
    int32_t sum = 0; /* Q16.15, at least 32,767 */
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t distance = sm_requantize(input[c] - max, p->multiplier, p->shift);
      const int32_t e = sm_line_int16(p->exponentials, distance + 32767);
      output[c] = (int16_t)e;
      sum += e;
    }
    /* sum = (1 + fraction) * 2^right; the fraction in 16 bits, from -2^15 on. */
    int32_t right = 30;
    for (; sum < (1 << 30); sum *= 2) {
      --right;
    }
    const int32_t fraction = (int32_t)(((uint32_t)sum + (1u << 13)) >> 14) - (1 << 16) - (1 << 15);
    const int32_t scale = sm_line_int16(p->reciprocals, fraction);
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t q = (output[c] * scale + (1 << (right - 1))) >> right;
      output[c] = (int16_t)sm_clamp(q, 0, 32767);
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
