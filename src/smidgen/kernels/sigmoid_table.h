/* The logistic function and the hyperbolic tangent of int16 numbers, read off one table. */
#ifndef SM_SIGMOID_TABLE_H
#define SM_SIGMOID_TABLE_H

#include <stdint.h>

/* The table: the logistic function of about i / 24 for i from 0 to 255, times 2^16, less 2^15.
 * 2^bits times the entry for the magnitude of x, and what lies between; past the end `last`. */
static inline uint32_t sm_sigmoid_from_table(const int16_t *table, int32_t x, int32_t bits,
                                             uint32_t last) {
  const uint32_t size = (uint32_t)(x < 0 ? -x : x), entry = size >> bits;
  if (entry >= 255) {
    return last;
  }
  const uint32_t low = (uint32_t)(table[entry] + 32768);
  const uint32_t high = (uint32_t)(table[entry + 1] + 32768);
  return (low << bits) + (size & ((1u << bits) - 1u)) * (high - low);
}

/* The logistic function of x / (3 * 2^12), times 2^15. */
static inline int16_t sm_sigmoid_logistic(const int16_t *table, int32_t x) {
  const int32_t y = (int32_t)sm_sigmoid_from_table(table, x, 9, 0x7fffu << 10);
  return (int16_t)((x >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10);
}

/* The hyperbolic tangent of x / (3 * 2^12), times 2^15. */
static inline int16_t sm_sigmoid_tanh(const int16_t *table, int32_t x) {
  const int32_t y = (int32_t)sm_sigmoid_from_table(table, x, 8, 0xffffu << 8) - (1 << 23);
  return (int16_t)((x >= 0 ? y + (1 << 7) : -y + (1 << 7) - 1) >> 8);
}

#endif
