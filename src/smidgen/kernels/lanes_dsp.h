/* Sums of bytes in 16-bit lanes, four channels to a word. */
#ifndef SM_LANES_DSP_H
#define SM_LANES_DSP_H

#include "dsp.h"

/* So many bytes may be added to a lane: -128 * 256 is the smallest int16. */
#define SM_LANE_LIMIT 256

/* Sums of four channels: 0 and 2, 1 and 3. */
typedef struct {
  uint32_t even, odd;
} sm_lane_sums;

typedef struct {
  sm_lane_sums a, b, c, d;
} sm_lanes16;

SM_DSP void sm_lanes_add(sm_lane_sums *sums, uint32_t word) {
  sums->even = sm_sxtab16(sums->even, word);
  sums->odd = sm_sxtab16_ror8(sums->odd, word);
}

/* Adds 16 neighbours. */
SM_DSP void sm_lanes_add16(sm_lanes16 *sums, const int8_t *in) {
  const uint32_t a = sm_load32(in), b = sm_load32(in + 4);
  const uint32_t c = sm_load32(in + 8), d = sm_load32(in + 12);
  sm_lanes_add(&sums->a, a);
  sm_lanes_add(&sums->b, b);
  sm_lanes_add(&sums->c, c);
  sm_lanes_add(&sums->d, d);
}

/* The sum of channel i, 0 to 3; i is a literal. */
SM_DSP int32_t sm_lanes_sum(sm_lane_sums sums, int32_t i) {
  const uint32_t pair = i & 1 ? sums.odd : sums.even;
  return i & 2 ? sm_high16(pair) : sm_low16(pair);
}

#endif
