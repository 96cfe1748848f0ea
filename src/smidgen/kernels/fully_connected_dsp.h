/* What both kernels of FULLY_CONNECTED, int8, for cores with DSP instructions share. */
#ifndef SM_FULLY_CONNECTED_DSP_H
#define SM_FULLY_CONNECTED_DSP_H

#include "requantize_dsp.h"

/* The input is (rows, in_c), the output (rows, out_c).
 *
 * weights: words for groups of four outputs a to d; in a group, for every four inputs, the word of
 * a and b for inputs 0 and 2, of c and d for the same, then both for inputs 1 and 3. The half of a
 * word for one input is 256 * b's weight + a's. Needs weights from -127 on and sums of |weight| of
 * each output below 2^16, so that sums of 256 * b + a come apart again. Inputs and outputs are
 * filled up to fours with zeros; so are the entries for each output.
 * doubled_bias: twice the bias, of which minus the input's zero point times the sum of weights is
 * part. shift: to the right, 1 to 21. */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t twice_offset;              /* 2 * the output's zero point + 1 */
  int32_t limited, act_min, act_max; /* limited: whether these are not -128 and 127 */
  const int32_t *multiplier;         /* for each output, or one */
  const int8_t *shift;
  const int32_t *doubled_bias;
  const int32_t *weights;
} sm_fully_connected_dsp_params;

/* Sums of four outputs: of 256 * b + a, of a, of 256 * d + c and of c. */
typedef struct {
  int32_t ab, a, cd, c;
} sm_fc_sums;

/* Adds the products of four inputs. */
SM_DSP void sm_fc_add(sm_fc_sums *sums, uint32_t x, const int32_t *w) {
  const uint32_t x02 = sm_sxtb16(x), x13 = sm_sxtb16_ror8(x);
  const uint32_t ab02 = (uint32_t)w[0], cd02 = (uint32_t)w[1];
  const uint32_t ab13 = (uint32_t)w[2], cd13 = (uint32_t)w[3];
  sums->ab = sm_smlad(x13, ab13, sm_smlad(x02, ab02, sums->ab));
  sums->a = sm_smlad(x13, sm_sxtb16(ab13), sm_smlad(x02, sm_sxtb16(ab02), sums->a));
  sums->cd = sm_smlad(x13, cd13, sm_smlad(x02, cd02, sums->cd));
  sums->c = sm_smlad(x13, sm_sxtb16(cd13), sm_smlad(x02, sm_sxtb16(cd02), sums->c));
}

/* sm_fc_add of four inputs at `*in`, and on to the next. Compilers would spread the loads, which
 * take a cycle each when they stand together and two when they do not. */
SM_DSP void sm_fc_step(sm_fc_sums *sums, const int8_t **in, const int32_t **w) {
#if SM_HAS_DSP
  uint32_t x, x13, ab02, cd02, ab13, cd13;
  __asm__("ldr %[cd02], [%[w], #4]\n\t"
          "ldr %[ab13], [%[w], #8]\n\t"
          "ldr %[cd13], [%[w], #12]\n\t"
          "ldr %[ab02], [%[w]], #16\n\t"
          "ldr %[x], [%[in]], #4\n\t"
          "sxtb16 %[x13], %[x], ror #8\n\t"
          "sxtb16 %[x], %[x]\n\t"
          "smlad %[ab], %[x], %[ab02], %[ab]\n\t"
          "smlad %[cd], %[x], %[cd02], %[cd]\n\t"
          "sxtb16 %[ab02], %[ab02]\n\t"
          "sxtb16 %[cd02], %[cd02]\n\t"
          "smlad %[ab], %[x13], %[ab13], %[ab]\n\t"
          "smlad %[cd], %[x13], %[cd13], %[cd]\n\t"
          "sxtb16 %[ab13], %[ab13]\n\t"
          "sxtb16 %[cd13], %[cd13]\n\t"
          "smlad %[a], %[x], %[ab02], %[a]\n\t"
          "smlad %[c], %[x], %[cd02], %[c]\n\t"
          "smlad %[a], %[x13], %[ab13], %[a]\n\t"
          "smlad %[c], %[x13], %[cd13], %[c]"
          : [ab] "+r"(sums->ab), [a] "+r"(sums->a), [cd] "+r"(sums->cd), [c] "+r"(sums->c),
            [in] "+r"(*in), [w] "+r"(*w), [x] "=&r"(x), [x13] "=&r"(x13), [ab02] "=&r"(ab02),
            [cd02] "=&r"(cd02), [ab13] "=&r"(ab13), [cd13] "=&r"(cd13)
          :
          : "memory");
#else
  sm_fc_add(sums, sm_load32(*in), *w);
  *in += 4;
  *w += 4;
#endif
}

/* The inputs behind those of the unrolled loop. */
SM_DSP void sm_fc_rest(sm_fc_sums *sums, const int8_t *in, const int32_t **w, int32_t count) {
  for (; count >= 4; count -= 4) {
    sm_fc_step(sums, &in, w);
  }
  if (count > 0) {
    uint32_t x = 0;
    do {
      x = x << 8 | (uint8_t)in[--count];
    } while (count);
    sm_fc_add(sums, x, *w);
    *w += 4;
  }
}

/* All rows. scale: of all outputs, or NULL where each has its own. */
SM_DSP void sm_fully_connected_dsp(const sm_fully_connected_dsp_params *p, const int8_t *input,
                                   int8_t *output, const sm_scale_dsp *scale) {
  const int32_t rest = p->in_c & (4 * SM_UNROLL - 1);
  int8_t *out = output;
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    const int8_t *const end = input + p->in_c - rest;
    const int32_t *w = p->weights;
    const int32_t *bias = p->doubled_bias;
    const int32_t *multiplier = p->multiplier;
    const int8_t *shift = p->shift;
    for (int32_t left = p->out_c; left > 0; left -= 4, bias += 4) {
      sm_fc_sums sums = {0, 0, 0, 0};
      for (const int8_t *in = input; in != end;) {
        sm_fc_step(&sums, &in, &w);
        sm_fc_step(&sums, &in, &w);
#if SM_UNROLL > 2
        sm_fc_step(&sums, &in, &w);
        sm_fc_step(&sums, &in, &w);
#endif
#if SM_UNROLL > 4
        sm_fc_step(&sums, &in, &w);
        sm_fc_step(&sums, &in, &w);
        sm_fc_step(&sums, &in, &w);
        sm_fc_step(&sums, &in, &w);
#endif
      }
      if (rest) {
        sm_fc_rest(&sums, end, &w, rest);
      }
      /* 256 * b is a multiple of 2^8, so that a shift by 7 makes exactly 2 * b. */
      const int32_t twice_b = sm_wrap_sub(sums.ab, sums.a) >> 7;
      const int32_t twice_d = sm_wrap_sub(sums.cd, sums.c) >> 7;
      sm_scale_dsp s0, s1, s2, s3;
      if (scale) {
        s0 = s1 = s2 = s3 = sm_scale_dsp_held(*scale);
      } else {
        s0 = sm_scale_dsp_of(multiplier[0], shift[0], p->twice_offset);
        s1 = sm_scale_dsp_of(multiplier[1], shift[1], p->twice_offset);
        s2 = sm_scale_dsp_of(multiplier[2], shift[2], p->twice_offset);
        s3 = sm_scale_dsp_of(multiplier[3], shift[3], p->twice_offset);
        multiplier += 4;
        shift += 4;
      }
      const int32_t a = sm_requantize_dsp(2 * sums.a + bias[0], s0);
      const int32_t b = sm_requantize_dsp(twice_b + bias[1], s1);
      const int32_t c = sm_requantize_dsp(2 * sums.c + bias[2], s2);
      const int32_t d = sm_requantize_dsp(twice_d + bias[3], s3);
      *out++ = (int8_t)a;
      if (left > 3) {
        out[0] = (int8_t)b;
        out[1] = (int8_t)c;
        out[2] = (int8_t)d;
        out += 3;
      } else if (left > 1) {
        *out++ = (int8_t)b;
        if (left > 2) {
          *out++ = (int8_t)c;
        }
      }
    }
  }
  if (p->limited) {
    sm_limit_bytes_dsp(output, p->rows * p->out_c, p->act_min, p->act_max);
  }
}

#endif
