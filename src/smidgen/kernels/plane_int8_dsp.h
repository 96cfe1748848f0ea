/* plane_int8.h for cores with DSP instructions: words of both operands, four outputs each. */
#ifndef SM_PLANE_INT8_DSP_H
#define SM_PLANE_INT8_DSP_H

#include "plane_int8.h"
#include "requantize_dsp.h"

/* One output of the sum x. */
SM_DSP int8_t sm_plane_output(int32_t x, int32_t rounding, int ties) {
  return (int8_t)sm_ssat8_asr(ties ? x + (x >> 31) + rounding : x, SM_PLANE_SHIFT);
}

/* Four outputs. mask: of the upper byte of each lane. The plane's multipliers are 256 times the
 * true ones, and so are the bytes in their lanes: the shift by 16 in the instruction leaves the
 * true product. */
SM_DSP void sm_plane_four(const sm_plane_int8_params *plane, uint32_t mask, const int8_t *a,
                          const int8_t *b, int8_t *output, int ties) {
  const int32_t ma = plane->a_multiplier, mb = plane->b_multiplier;
  const uint32_t a_word = sm_load32(a), b_word = sm_load32(b);
  const uint32_t a02 = (a_word << 8) & mask, a13 = a_word & mask;
  const uint32_t b02 = (b_word << 8) & mask, b13 = b_word & mask;
  const int32_t x0 = sm_smlawb(mb, b02, sm_smlawb(ma, a02, plane->addend));
  const int32_t x1 = sm_smlawb(mb, b13, sm_smlawb(ma, a13, plane->addend));
  const int32_t x2 = sm_smlawt(mb, b02, sm_smlawt(ma, a02, plane->addend));
  const int32_t x3 = sm_smlawt(mb, b13, sm_smlawt(ma, a13, plane->addend));
  output[0] = sm_plane_output(x0, plane->rounding, ties);
  output[1] = sm_plane_output(x1, plane->rounding, ties);
  output[2] = sm_plane_output(x2, plane->rounding, ties);
  output[3] = sm_plane_output(x3, plane->rounding, ties);
}

/* ties: a literal, see plane_int8.h. */
SM_DSP void sm_plane_int8_dsp(const sm_plane_int8_params *p, const int8_t *a, const int8_t *b,
                              int8_t *output, int ties) {
  sm_plane_int8_params plane = *p;
  plane.a_multiplier *= 256;
  plane.b_multiplier *= 256;
  uint32_t mask = 0xff00ff00u;
#if SM_HAS_DSP
  __asm__("" : "+r"(mask)); /* from a register an AND takes a word that it shifts on the way */
#endif
  int8_t *out = output;
  for (int32_t row = 0; row < plane.rows; ++row) {
    int32_t left = plane.size;
    for (; left >= 8; left -= 8, a += 8, b += 8, out += 8) {
      sm_plane_four(&plane, mask, a, b, out, ties);
      sm_plane_four(&plane, mask, a + 4, b + 4, out + 4, ties);
    }
    for (; left > 0; --left, ++a, ++b, ++out) {
      *out = (int8_t)sm_ssat8(sm_plane_sum(p, *a, *b, ties) >> SM_PLANE_SHIFT);
    }
    a += plane.a_stride - plane.size;
    b += plane.b_stride - plane.size;
  }
  if (plane.act_min > -128 || plane.act_max < 127) {
    sm_limit_bytes_dsp(output, plane.rows * plane.size, plane.act_min, plane.act_max);
  }
}

#endif
