/* For machines that compute many values at a time: sums of 16 channels, and their outputs. Plain
 * loops that compilers vectorize, but for the one instruction that they do not find. */
#ifndef SM_HOST_H
#define SM_HOST_H

#include "common.h"
#include "requantize.h"

#define SM_HOST_CHANNELS 16 /* of a block */
#define SM_HOST_PIXELS 4

#if defined(__AVX2__) && defined(__GNUC__)
typedef int32_t sm_int32x8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int16_t sm_int16x16 __attribute__((vector_size(32)));

/* Adds the products of one pair of values and the pairs of eight channels. */
static inline void sm_host_add(sm_int32x8 *sums, const int16_t *pair, sm_int32x8 weights) {
  int32_t x;
  memcpy(&x, pair, 4);
  const sm_int32x8 values = {x, x, x, x, x, x, x, x};
#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && !defined(__clang__)
  *sums = (sm_int32x8)__builtin_ia32_vpdpwssd_v8si(*sums, values, weights);
#else
  *sums += (sm_int32x8)__builtin_ia32_pmaddwd256((sm_int16x16)values, (sm_int16x16)weights);
#endif
}
#endif

/* Sums of a block of channels for four pixels. values: a row of 2 * pairs for each pixel. weights:
 * for each pair of values, two of each channel. */
static inline void sm_host_sums(const int16_t *values, const int16_t *weights, int32_t pairs,
                                int32_t sums[SM_HOST_PIXELS][SM_HOST_CHANNELS]) {
  const int16_t *const a = values, *const b = a + 2 * pairs;
  const int16_t *const c = b + 2 * pairs, *const d = c + 2 * pairs;
#if defined(__AVX2__) && defined(__GNUC__)
  sm_int32x8 s[SM_HOST_PIXELS][2] = {{{0}, {0}}, {{0}, {0}}, {{0}, {0}}, {{0}, {0}}};
  for (int32_t k = 0; k < 2 * pairs; k += 2, weights += 2 * SM_HOST_CHANNELS) {
    const sm_int32x8 low = *(const sm_int32x8 *)(const void *)weights;
    const sm_int32x8 high = *(const sm_int32x8 *)(const void *)(weights + SM_HOST_CHANNELS);
    sm_host_add(&s[0][0], a + k, low);
    sm_host_add(&s[0][1], a + k, high);
    sm_host_add(&s[1][0], b + k, low);
    sm_host_add(&s[1][1], b + k, high);
    sm_host_add(&s[2][0], c + k, low);
    sm_host_add(&s[2][1], c + k, high);
    sm_host_add(&s[3][0], d + k, low);
    sm_host_add(&s[3][1], d + k, high);
  }
  memcpy(sums, s, sizeof s);
#else
  memset(sums, 0, 4u * SM_HOST_PIXELS * SM_HOST_CHANNELS);
  for (int32_t k = 0; k < 2 * pairs; k += 2, weights += 2 * SM_HOST_CHANNELS) {
    for (int32_t i = 0; i < SM_HOST_CHANNELS; ++i) {
      const int32_t first = weights[2 * i], second = weights[2 * i + 1];
      sums[0][i] += a[k] * first + a[k + 1] * second;
      sums[1][i] += b[k] * first + b[k + 1] * second;
      sums[2][i] += c[k] * first + c[k + 1] * second;
      sums[3][i] += d[k] * first + d[k + 1] * second;
    }
  }
#endif
}

/* How outputs of a layer are made: tables are filled up to blocks of channels. halvings: shifts to
 * the right but one; every shift is 1 to 31. */
typedef struct {
  const int32_t *bias, *multiplier, *halvings;
  int32_t offset, low, high;
} sm_host_scale;

/* sm_requantize of a block of sums of the channels from `first` on; n outputs. A product that is
 * shifted without its sign has the same low 32 bits. */
static inline void sm_host_outputs(const sm_host_scale *scale, int32_t first, const int32_t *sums,
                                   int32_t n, int8_t *out) {
  const int32_t *bias = scale->bias + first, *multiplier = scale->multiplier + first;
  const int32_t *halvings = scale->halvings + first;
  int8_t block[SM_HOST_CHANNELS];
  for (int32_t i = 0; i < SM_HOST_CHANNELS; ++i) {
    const int64_t product = (int64_t)(sums[i] + bias[i]) * multiplier[i] + ((int64_t)1 << 30);
    const int32_t high = (int32_t)(uint32_t)((uint64_t)product >> 31);
    const int32_t scaled = (((high + (high >> 31)) >> halvings[i]) + 1) >> 1;
    block[i] = (int8_t)sm_clamp(scaled + scale->offset, scale->low, scale->high);
  }
  if (n >= SM_HOST_CHANNELS) {
    memcpy(out, block, SM_HOST_CHANNELS);
  } else {
    memcpy(out, block, (size_t)n);
  }
}

#endif
