/* LOGISTIC and TANH, int16 to int16 (output scale 2^-15): a table and straight lines in between. */
#ifndef SM_SIGMOID_INT16_H
#define SM_SIGMOID_INT16_H

#include "common.h"

/* x * multiplier / 2^shift, rounded, is x in steps of 1 / (3 * 4096); multiplier: 1 to 2^15 - 1,
 * shift: 0 to 31. table: 256 values of 2^16 / (1 + e^-x), for x = 0, 1/24, 2/24 and so on. */
typedef struct {
  int32_t size;
  int32_t multiplier, shift;
  const uint16_t *table;
} sm_sigmoid_int16_params;

static inline int32_t sm_sigmoid_steps(const sm_sigmoid_int16_params *p, int32_t x) {
  const int32_t half = p->shift > 0 ? (int32_t)1 << (p->shift - 1) : 0;
  return (x * p->multiplier + half) >> p->shift;
}

/* The table at distance / 2^bits, times 2^bits; `most` from its last value on. */
static inline int32_t sm_sigmoid_between(const uint16_t *table, int32_t distance, int32_t bits,
                                         int32_t most) {
  const int32_t place = distance >> bits;
  if (place >= 255) {
    return most;
  }
  const int32_t value = table[place], rest = distance & ((1 << bits) - 1);
  return value * (1 << bits) + rest * (table[place + 1] - value);
}

/* May compute in place. */
SM_KERNEL void sm_logistic_int16(const sm_sigmoid_int16_params *p, const int16_t *input,
                                 int16_t *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    const int32_t x = sm_sigmoid_steps(p, input[i]);
    const int32_t y = sm_sigmoid_between(p->table, x < 0 ? -x : x, 9, 0x7fff * 1024);
    output[i] = (int16_t)((x >= 0 ? y + 512 : (1 << 25) - y + 511) >> 10);
  }
}

/* tanh(x) = 2 logistic(2 x) - 1. May compute in place. */
SM_KERNEL void sm_tanh_int16(const sm_sigmoid_int16_params *p, const int16_t *input,
                             int16_t *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    const int32_t x = sm_sigmoid_steps(p, input[i]);
    const int32_t y = sm_sigmoid_between(p->table, x < 0 ? -x : x, 8, 0xffff * 256) - (1 << 23);
    output[i] = (int16_t)(((x >= 0 ? y : -y - 1) + 128) >> 8);
  }
}

#endif
