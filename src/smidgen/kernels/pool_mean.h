/* The mean of a window of int8, from its sum. */
#ifndef SM_POOL_MEAN_H
#define SM_POOL_MEAN_H

#include "common.h"

/* Up to so many positions, one multiplication stands for the division. */
#define SM_POOL_MEAN_LIMIT 256

/* How sums of `count` numbers are divided. With n = sum + 128 * count + half, 0 to 255.5 * count,
 * floor(n / count) is floor(n * reciprocal / 2^24): the reciprocal is less than 1 too large, which
 * adds less than 255.5 * count / 2^24 < 1 / count to n / count. */
typedef struct {
  int32_t count;
  int32_t offset; /* 128 * count + count / 2 */
  uint32_t even;  /* 1 if ties exist */
  uint32_t reciprocal;
} sm_pool_mean;

static inline sm_pool_mean sm_pool_mean_over(int32_t count) {
  const sm_pool_mean mean = {count, 128 * count + count / 2, ~(uint32_t)count & 1u,
                             (0x1000000u + (uint32_t)count - 1u) / (uint32_t)count};
  return mean;
}

/* To the nearest, ties away from zero; count up to SM_POOL_MEAN_LIMIT. */
static inline int8_t sm_pool_mean_of(const sm_pool_mean *mean, int32_t sum) {
  const uint32_t ties_down = ((uint32_t)sum >> 31) & mean->even;
  const uint32_t n = (uint32_t)(sum + mean->offset) - ties_down;
  return (int8_t)((int32_t)((n * mean->reciprocal) >> 24) - 128);
}

/* The same for any count. */
static inline int8_t sm_pool_mean_of_many(const sm_pool_mean *mean, int32_t sum) {
  if (mean->count <= SM_POOL_MEAN_LIMIT) {
    return sm_pool_mean_of(mean, sum);
  }
  const int32_t half = sum > 0 ? mean->count / 2 : -(mean->count / 2);
  return (int8_t)((sum + half) / mean->count);
}

#endif
