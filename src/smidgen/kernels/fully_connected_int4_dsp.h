/* FULLY_CONNECTED, int8 with int4 weights, for cores with DSP instructions: four outputs at a
 * time, their weights in one halfword, taken apart as gemm_int4_paired.h explains. */
#ifndef SM_FULLY_CONNECTED_INT4_DSP_H
#define SM_FULLY_CONNECTED_INT4_DSP_H

#include "common.h"
#include "dsp.h"
#include "requantize.h"

/* The input is (rows, in_c), the output (rows, out_c).
 *
 * weights: words for groups of four outputs a to d; in a group, for every four inputs, the word of
 * inputs 0 and 2, then of 1 and 3. The half of a word for one input is 4096 * d's weight + 256 *
 * (b's + 8) + 16 * (c's + 8) + (a's + 8). Inputs and outputs are filled up to fours with weights of
 * zero.
 * bias: minus the input's zero point times the sum of weights is part of it, modulo 2^32. */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t scale_step; /* 1: a multiplier and a shift for each output; 0: one of each for all */
  int32_t output_offset;
  int32_t act_min, act_max;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *bias;
  const int32_t *weights;
} sm_fully_connected_int4_dsp_params;

/* Sums with whole halfwords, with their low bytes, with each byte's low half, and with both. */
typedef struct {
  int32_t dcba, ca, ba, a;
} sm_fc4_sums;

/* Adds the products of four inputs. */
SM_DSP void sm_fc4_add(sm_fc4_sums *sums, uint32_t x, const int32_t *w) {
  const uint32_t lanes[2] = {sm_sxtb16(x), sm_sxtb16_ror8(x)};
  for (int32_t i = 0; i < 2; ++i) {
    const uint32_t all = (uint32_t)w[i], two = all & 0x0f0f0f0fu;
    sums->dcba = sm_smlad(all, lanes[i], sums->dcba);
    sums->ca = sm_smlad(all & 0x00ff00ffu, lanes[i], sums->ca);
    sums->ba = sm_smlad(two, lanes[i], sums->ba);
    sums->a = sm_smlad(two & 0x00ff00ffu, lanes[i], sums->a);
  }
}

/* sm_fc4_add of four inputs at `*in`, and on to the next; loads stand together, as in sm_fc_step.
 */
SM_DSP void sm_fc4_step(sm_fc4_sums *sums, const int8_t **in, const int32_t **w) {
#if SM_HAS_DSP
  uint32_t x, x13, w02, w13, two;
  __asm__("ldr %[w13], [%[w], #4]\n\t"
          "ldr %[w02], [%[w]], #8\n\t"
          "ldr %[x], [%[in]], #4\n\t"
          "sxtb16 %[x13], %[x], ror #8\n\t"
          "sxtb16 %[x], %[x]\n\t"
          "and %[two], %[w02], #0x0f0f0f0f\n\t"
          "smlad %[dcba], %[x], %[w02], %[dcba]\n\t"
          "uxtb16 %[w02], %[w02]\n\t"
          "smlad %[ba], %[x], %[two], %[ba]\n\t"
          "uxtb16 %[two], %[two]\n\t"
          "smlad %[dcba], %[x13], %[w13], %[dcba]\n\t"
          "smlad %[ca], %[x], %[w02], %[ca]\n\t"
          "smlad %[a], %[x], %[two], %[a]\n\t"
          "and %[two], %[w13], #0x0f0f0f0f\n\t"
          "uxtb16 %[w13], %[w13]\n\t"
          "smlad %[ba], %[x13], %[two], %[ba]\n\t"
          "uxtb16 %[two], %[two]\n\t"
          "smlad %[ca], %[x13], %[w13], %[ca]\n\t"
          "smlad %[a], %[x13], %[two], %[a]"
          : [dcba] "+r"(sums->dcba), [ca] "+r"(sums->ca), [ba] "+r"(sums->ba), [a] "+r"(sums->a),
            [in] "+r"(*in), [w] "+r"(*w), [x] "=&r"(x), [x13] "=&r"(x13), [w02] "=&r"(w02),
            [w13] "=&r"(w13), [two] "=&r"(two)
          :
          : "memory");
#else
  sm_fc4_add(sums, sm_load32(*in), *w);
  *in += 4;
  *w += 2;
#endif
}

/* One to three inputs, the others zero. */
SM_DSP uint32_t sm_fc4_last(const int8_t *in, int32_t count) {
  uint32_t x = 0;
  do {
    x = x << 8 | (uint8_t)in[--count];
  } while (count);
  return x;
}

/* Eight times the sum of a row: what the offsets of the weights add. */
static SM_PART int32_t sm_fc4_eights(const int8_t *in, int32_t count) {
  const uint32_t eights = 0x00080008u;
  int32_t sum = 0;
  for (; count > 0; count -= 4, in += 4) {
    const uint32_t x = count < 4 ? sm_fc4_last(in, count) : sm_load32(in);
    sum = sm_smlad(sm_sxtb16_ror8(x), eights, sm_smlad(sm_sxtb16(x), eights, sum));
  }
  return sum;
}

#define SM_FC4_CHUNK 480 /* inputs at a time: d's sum must fit 20 bits */

/* Sums of four outputs, less what the offsets of the weights add: a to d. */
SM_DSP void sm_fc4_sum(int32_t *out, const int8_t *in, int32_t count, const int32_t **w) {
  for (; count > 0; count -= SM_FC4_CHUNK) {
    sm_fc4_sums sums = {0, 0, 0, 0};
    int32_t left = (count < SM_FC4_CHUNK ? count : SM_FC4_CHUNK) - 4 * SM_UNROLL;
    for (; left >= 0; left -= 4 * SM_UNROLL) {
      sm_fc4_step(&sums, &in, w);
      sm_fc4_step(&sums, &in, w);
#if SM_UNROLL > 2
      sm_fc4_step(&sums, &in, w);
      sm_fc4_step(&sums, &in, w);
#endif
#if SM_UNROLL > 4
      sm_fc4_step(&sums, &in, w);
      sm_fc4_step(&sums, &in, w);
      sm_fc4_step(&sums, &in, w);
      sm_fc4_step(&sums, &in, w);
#endif
    }
    for (left += 4 * SM_UNROLL; left >= 4; left -= 4) {
      sm_fc4_step(&sums, &in, w);
    }
    if (left > 0) {
      sm_fc4_add(&sums, sm_fc4_last(in, left), *w);
      *w += 2;
    }
    const int32_t c = sm_wrap_sub(sums.ca, sums.a);
    const int32_t d = sm_wrap_sub(sm_wrap_sub(sums.dcba, sums.ba), c);
    out[0] += sums.a;
    out[1] += sm_wrap_sub(sums.ba, sums.a) >> 8;
    out[2] += c >> 4;
    out[3] += d >> 12;
  }
}

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int4_dsp(const sm_fully_connected_int4_dsp_params *p,
                                           const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    const int32_t eights = sm_fc4_eights(input, p->in_c);
    const int32_t *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c;) {
      int32_t sums[4] = {-eights, -eights, -eights, 0};
      sm_fc4_sum(sums, input, p->in_c, &w);
      for (int32_t i = 0; i < 4 && oc < p->out_c; ++i, ++oc) {
        const int32_t scale = oc * p->scale_step;
        const int32_t acc = sm_wrap_add(sums[i], p->bias[oc]);
        const int32_t out = sm_requantize(acc, p->multiplier[scale], p->shift[scale]);
        *output++ = (int8_t)sm_clamp(out + p->output_offset, p->act_min, p->act_max);
      }
    }
  }
}

#endif
