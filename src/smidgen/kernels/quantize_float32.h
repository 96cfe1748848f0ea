/* QUANTIZE, float32 to int8. */
#ifndef SM_QUANTIZE_FLOAT32_H
#define SM_QUANTIZE_FLOAT32_H

#include "common.h"
#include "requantize.h"

/* 1 / scale is about reciprocal * 2^(134 - exponent), and reciprocal is 2^15 to 2^16 - 1. An
 * exponent of 0, for scales out of the ordinary, divides every element. */
typedef struct {
  int32_t size;
  int32_t zero_point;
  int32_t reciprocal, exponent;
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

/* Most elements are multiplied by the reciprocal, in integers. With 16 bits of either factor the
 * product is less than 2^-14 off, so that a quotient of up to 256, times 256, is less than 5 off:
 * where its fraction is farther from a half than that, it is rounded as the true quotient is. The
 * others are divided, which takes ten times as long on cores without a floating-point unit.
 *
 * The output may overwrite the input from its first byte on. */
SM_KERNEL void sm_quantize_float32(const sm_quantize_float32_params *p, const float *input,
                                   int8_t *output) {
  const sm_quantize_float32_params q = *p; /* outputs do not change it, as compilers see */
  for (int32_t i = 0; i < q.size; ++i) {
    const float x = input[i];
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t mantissa = 0x8000u | ((bits >> 8) & 0x7fffu);
    const int32_t shift = q.exponent - (int32_t)((bits >> 23) & 0xffu);
    /* Shifted farther than by 31, to which it is limited here, it is nothing; by 31 it is 0 or 1.
     */
    const uint32_t times256 = (mantissa * (uint32_t)q.reciprocal) >> (shift < 31 ? shift & 31 : 31);
    int32_t value = (int32_t)((times256 + 128u) >> 8);
    value = sm_clamp((bits >> 31 ? -value : value) + q.zero_point, -128, 127);
    if (shift < 15 || (times256 & 0xffu) - 123u <= 10u) {
      value = sm_quantize_one_float32(x, q.scale, q.zero_point);
    }
    output[i] = (int8_t)value;
  }
}

#endif
