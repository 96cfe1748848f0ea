/* MUL, int8, for cores with DSP instructions: words of both operands, four products each. */
#ifndef SM_MUL_INT8_DSP_H
#define SM_MUL_INT8_DSP_H

#include "requantize_dsp.h"

/* rows of `size` pairs; a row of an operand starts a_stride or b_stride after the one before, 0 if
 * it is the same one again. a_offset, b_offset: minus the zero points, -127 to 128. shift: to the
 * right, 1 to 21. twice_offset: 2 * the output's zero point + 1. */
typedef struct {
  int32_t rows, size;
  int32_t a_stride, b_stride;
  int32_t a_offset, b_offset;
  int32_t multiplier, shift, twice_offset;
  int32_t act_min, act_max;
} sm_mul_int8_dsp_params;

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_mul_int8_dsp(const sm_mul_int8_dsp_params *p, const int8_t *a, const int8_t *b,
                               int8_t *output) {
  const uint32_t a_offsets = sm_pack16(p->a_offset, p->a_offset);
  const uint32_t b_offsets = sm_pack16(p->b_offset, p->b_offset);
  const sm_scale_dsp scale =
      sm_scale_dsp_held(sm_scale_dsp_of(p->multiplier, p->shift, p->twice_offset));
  int8_t *out = output;
  for (int32_t row = 0; row < p->rows; ++row) {
    int32_t left = p->size;
    for (; left >= 4; left -= 4, a += 4, b += 4, out += 4) {
      const uint32_t a_word = sm_load32(a), b_word = sm_load32(b);
      const uint32_t a02 = sm_sxtab16(a_offsets, a_word), b02 = sm_sxtab16(b_offsets, b_word);
      const uint32_t a13 = sm_sxtab16_ror8(a_offsets, a_word);
      const uint32_t b13 = sm_sxtab16_ror8(b_offsets, b_word);
      const uint32_t twice02 = sm_sadd16(b02, b02), twice13 = sm_sadd16(b13, b13);
      out[0] = (int8_t)sm_requantize_dsp(sm_smulbb(a02, twice02), scale);
      out[1] = (int8_t)sm_requantize_dsp(sm_smulbb(a13, twice13), scale);
      out[2] = (int8_t)sm_requantize_dsp(sm_smultt(a02, twice02), scale);
      out[3] = (int8_t)sm_requantize_dsp(sm_smultt(a13, twice13), scale);
    }
    for (; left > 0; --left) {
      const int32_t product = (*a++ + p->a_offset) * (*b++ + p->b_offset);
      *out++ = (int8_t)sm_requantize_dsp(2 * product, scale);
    }
    a += p->a_stride - p->size;
    b += p->b_stride - p->size;
  }
  if (p->act_min > -128 || p->act_max < 127) {
    sm_limit_bytes_dsp(output, (int32_t)(out - output), p->act_min, p->act_max);
  }
}

#endif
