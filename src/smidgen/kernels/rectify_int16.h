/* RELU and LEAKY_RELU, int16, where the scale changes: a factor for each side of zero. */
#ifndef SM_RECTIFY_INT16_H
#define SM_RECTIFY_INT16_H

#include "common.h"
#include "requantize.h"

/* below_*: the factor of negative numbers; its sign, 1 or -1, is applied after rounding. */
typedef struct {
  int32_t size;
  int32_t multiplier, shift;
  int32_t below_multiplier, below_shift, below_sign;
} sm_rectify_int16_params;

/* May compute in place. */
SM_KERNEL void sm_rectify_int16(const sm_rectify_int16_params *p, const int16_t *input,
                                int16_t *output) {
  const sm_rectify_int16_params r = *p; /* outputs do not change it, as compilers see */
  for (int32_t i = 0; i < r.size; ++i) {
    const int32_t x = input[i];
    const int32_t y = x >= 0 ? sm_requantize(x, r.multiplier, r.shift)
                             : r.below_sign * sm_requantize(x, r.below_multiplier, r.below_shift);
    output[i] = (int16_t)sm_clamp(y, -32768, 32767);
  }
}

#endif
