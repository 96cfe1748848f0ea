/* QUANTIZE, float32 to int16 or uint8: every element is divided by the scale. */
#ifndef SM_QUANTIZE_DIVIDED_H
#define SM_QUANTIZE_DIVIDED_H

#include "items.h"
#include "requantize.h"

/* low, high: limits of the output's type. output_item: bytes of an element, 1 or 2. */
typedef struct {
  int32_t size;
  int32_t zero_point;
  float scale;
  int32_t low, high;
  int32_t output_item;
} sm_quantize_divided_params;

/* Rounded to nearest with ties away from zero; not-a-number gives the zero point. The output may
 * overwrite the input from its first byte on. */
SM_KERNEL void sm_quantize_divided(const sm_quantize_divided_params *p, const float *input,
                                   void *output) {
  const sm_quantize_divided_params d = *p; /* outputs do not change it, as compilers see */
  for (int32_t i = 0; i < d.size; ++i) {
    float q = input[i] / d.scale;
    /* Out of int16 whatever the zero point; converting a float that fits no int32 is undefined. */
    q = q < 131072.0f ? q : (q >= 131072.0f ? 131072.0f : 0.0f);
    q = q > -131072.0f ? q : -131072.0f;
    int32_t whole = (int32_t)q;
    const float fraction = q - (float)whole;
    whole += (fraction >= 0.5f) - (fraction <= -0.5f);
    const int32_t y = sm_clamp(whole + d.zero_point, d.low, d.high);
    if (d.output_item == 1) {
      ((uint8_t *)output)[i] = (uint8_t)y;
    } else {
      sm_put_int16(output, i, y);
    }
  }
}

#endif
