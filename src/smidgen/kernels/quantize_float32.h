/* QUANTIZE, float32 to int8. */
#ifndef SM_QUANTIZE_FLOAT32_H
#define SM_QUANTIZE_FLOAT32_H

#include "common.h"
#include "requantize.h"

typedef struct {
  int32_t size;
  int32_t zero_point;
  float scale;
} sm_quantize_float32_params;

/* x / scale rounded to nearest with ties away from zero; not-a-number gives the zero point. */
static inline int8_t sm_quantize_one_float32(float x, float scale, int32_t zero_point) {
  float q = x / scale;
  /* Out of int8 whatever the zero point; converting a float that fits no int32 is undefined. */
  q = q < 512.0f ? q : (q >= 512.0f ? 512.0f : 0.0f);
  q = q > -512.0f ? q : -512.0f;
  int32_t whole = (int32_t)q;
  const float fraction = q - (float)whole;
  whole += (fraction >= 0.5f) - (fraction <= -0.5f);
  return (int8_t)sm_clamp(whole + zero_point, -128, 127);
}

/* The output may overwrite the input from its first byte on. */
SM_KERNEL void sm_quantize_float32(const sm_quantize_float32_params *p, const float *input,
                                   int8_t *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = sm_quantize_one_float32(input[i], p->scale, p->zero_point);
  }
}

#endif
