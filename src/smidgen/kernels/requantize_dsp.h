/* From int32 accumulators to int8 in five DSP instructions, rounded as sm_requantize rounds. */
#ifndef SM_REQUANTIZE_DSP_H
#define SM_REQUANTIZE_DSP_H

#include "dsp.h"

/* How one channel is requantized: acc * multiplier * 2^(-31 - shift), an offset added, limited to
 * int8. shift: 1 to 21. rounding: (2 * offset + 1) * 2^(shift - 1), the half that is added before
 * the shift and the offset with it. */
typedef struct {
  int32_t multiplier, shift, rounding;
} sm_scale_dsp;

/* twice_offset: 2 * offset + 1. */
SM_DSP sm_scale_dsp sm_scale_dsp_of(int32_t multiplier, int32_t shift, int32_t twice_offset) {
  const sm_scale_dsp scale = {multiplier, shift, twice_offset * (1 << (shift - 1))};
  return scale;
}

/* The same scale, in registers from here on: compilers that are short of them in a loop would load
 * each number again for each use behind it. */
SM_DSP sm_scale_dsp sm_scale_dsp_held(sm_scale_dsp scale) {
#if SM_HAS_DSP
  __asm__("" : "+r"(scale.multiplier), "+r"(scale.shift), "+r"(scale.rounding));
#endif
  return scale;
}

/* doubled: twice the accumulator, which lies between -2^30 and 2^30 so that the high word of its
 * product with the multiplier is that of a Q31 product. A negative accumulator gives up one unit so
 * that its ties go down; where its product is 0 that unit is lost in the shift. */
SM_DSP int32_t sm_requantize_dsp(int32_t doubled, sm_scale_dsp scale) {
  const int32_t half = scale.rounding + (doubled >> 31);
  return sm_ssat8(sm_smmlar(doubled, scale.multiplier, half) >> scale.shift);
}

/* Limits n bytes to [low, high]. */
static SM_PART void sm_limit_bytes_dsp(int8_t *bytes, int32_t n, int32_t low, int32_t high) {
  const uint32_t lows = sm_four8(low), highs = sm_four8(high);
  for (; n >= 4; n -= 4, bytes += 4) {
    sm_store32(bytes, sm_min8(sm_max8(sm_load32(bytes), lows), highs));
  }
  for (; n > 0; --n, ++bytes) {
    const int32_t x = *bytes < low ? low : *bytes;
    *bytes = (int8_t)(x > high ? high : x);
  }
}

#endif
