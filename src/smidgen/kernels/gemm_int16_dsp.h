/* Sums of products of int16 activations and int8 weights with DSP instructions.
 *
 * Weights go by fours, as bytes 0, 2, 1, 3: sign-extending every second byte of such a word gives
 * the pairs (0, 1) and (2, 3), which SMLAD multiplies with two neighbouring activations each. Words
 * of the outputs that are computed together follow each other. The weights of each output are
 * filled up with zeros to a multiple of 4, outputs to the block. Sums must fit 32 bits: the
 * magnitudes of an output's weights sum up to 65,535 at most. */
#ifndef SM_GEMM_INT16_DSP_H
#define SM_GEMM_INT16_DSP_H

#include "bytes.h"
#include "dsp.h"

/* Two rows of activations times two outputs: row x with outputs 0 and 1 to sums[0] and [2], row y
 * to sums[1] and [3]. n: a multiple of 4. */
static SM_PART void sm_gemm_int16_2x2(const int16_t *x, const int16_t *y, const int8_t *w,
                                      int32_t n, int32_t *sums) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (int32_t left = n; left > 0; left -= 4, x += 4, y += 4, w += 8) {
    SM_HOLD(left);
    const uint32_t a = sm_load32(w), b = sm_load32(w + 4);
    const uint32_t a0 = sm_sxtb16(a), a1 = sm_sxtb16_ror8(a);
    const uint32_t b0 = sm_sxtb16(b), b1 = sm_sxtb16_ror8(b);
    const uint32_t x0 = sm_load32(x), x1 = sm_load32(x + 2);
    s0 = sm_smlad(x1, a1, sm_smlad(x0, a0, s0));
    s2 = sm_smlad(x1, b1, sm_smlad(x0, b0, s2));
    const uint32_t y0 = sm_load32(y), y1 = sm_load32(y + 2);
    s1 = sm_smlad(y1, a1, sm_smlad(y0, a0, s1));
    s3 = sm_smlad(y1, b1, sm_smlad(y0, b0, s3));
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

/* One row of n activations times four outputs: what n has beyond fours is read element by element.
 */
static SM_PART void sm_gemm_int16_1x4(const int16_t *x, const int8_t *w, int32_t n, int32_t *sums) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  int32_t left = n;
  for (; left >= 4; left -= 4, x += 4, w += 16) {
    SM_HOLD(left);
    const uint32_t x0 = sm_load32(x), x1 = sm_load32(x + 2);
    const uint32_t a = sm_load32(w), b = sm_load32(w + 4);
    s0 = sm_smlad(x1, sm_sxtb16_ror8(a), sm_smlad(x0, sm_sxtb16(a), s0));
    s1 = sm_smlad(x1, sm_sxtb16_ror8(b), sm_smlad(x0, sm_sxtb16(b), s1));
    const uint32_t c = sm_load32(w + 8), d = sm_load32(w + 12);
    s2 = sm_smlad(x1, sm_sxtb16_ror8(c), sm_smlad(x0, sm_sxtb16(c), s2));
    s3 = sm_smlad(x1, sm_sxtb16_ror8(d), sm_smlad(x0, sm_sxtb16(d), s3));
  }
  for (int32_t i = 0; i < left; ++i) {
    const int8_t *at = w + (i == 1 ? 2 : i == 2 ? 1 : i); /* bytes 0, 2, 1, 3 */
    s0 += x[i] * at[0];
    s1 += x[i] * at[4];
    s2 += x[i] * at[8];
    s3 += x[i] * at[12];
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

#endif
