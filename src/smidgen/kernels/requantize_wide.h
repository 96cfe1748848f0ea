/* From int64 accumulators of int16 values to the output's scale, rounded as TFLM rounds. */
#ifndef SM_REQUANTIZE_WIDE_H
#define SM_REQUANTIZE_WIDE_H

#include <stdint.h>

/* acc * multiplier * 2^(shift - 31), the multiplier cut to 15 bits; ties upwards.
 * acc: within 48 bits. multiplier: 0 to INT32_MAX. shift: -31 to 7. */
static inline int32_t sm_requantize_wide(int64_t acc, int32_t multiplier, int32_t shift) {
  const int32_t reduced = multiplier < 0x7fff0000 ? (multiplier + (1 << 15)) >> 16 : 0x7fff;
  const int32_t total = 15 - shift;
  return (int32_t)((acc * reduced + ((int64_t)1 << (total - 1))) >> total);
}

#endif
