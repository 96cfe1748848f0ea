/* RELU and its kin, int8, where input and output have one scale, for cores with DSP instructions.
 */
#ifndef SM_RELU_INT8_DSP_H
#define SM_RELU_INT8_DSP_H

#include "dsp.h"

typedef struct {
  int32_t size;
  int32_t act_min, act_max;
} sm_relu_int8_dsp_params;

/* May compute in place. */
SM_KERNEL void sm_relu_int8_dsp(const sm_relu_int8_dsp_params *p, const int8_t *input,
                                int8_t *output) {
  const int32_t low = p->act_min, high = p->act_max;
  const uint32_t lows = sm_four8(low), highs = sm_four8(high);
  int32_t left = p->size;
  for (; left >= 8; left -= 8, input += 8, output += 8) {
    const uint32_t a = sm_load32(input), b = sm_load32(input + 4);
    sm_store32(output, sm_min8(sm_max8(a, lows), highs));
    sm_store32(output + 4, sm_min8(sm_max8(b, lows), highs));
  }
  for (; left > 0; --left) {
    const int32_t x = *input++, limited = x < low ? low : x;
    *output++ = (int8_t)(limited > high ? high : limited);
  }
}

#endif
