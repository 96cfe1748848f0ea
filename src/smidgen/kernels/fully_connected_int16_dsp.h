/* FULLY_CONNECTED, int16 with int8 weights, with DSP instructions: four outputs at a time. */
#ifndef SM_FULLY_CONNECTED_INT16_DSP_H
#define SM_FULLY_CONNECTED_INT16_DSP_H

#include "gemm_int16_dsp.h"
#include "layer_int16.h"

/* As sm_fully_connected_int16_params; the sums of an output's products fit 32 bits. weights: see
 * gemm_int16_dsp.h, `stride` bytes for each output. */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t scale_step;
  int32_t stride;
  int32_t wide;
  int32_t act_min, act_max;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *bias;
  const int64_t *wide_bias;
  const int8_t *weights;
} sm_fully_connected_int16_dsp_params;

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int16_dsp(const sm_fully_connected_int16_dsp_params *p,
                                            const int16_t *input, int16_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    const int8_t *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c; w += 4 * p->stride) {
      int32_t sums[4];
      sm_gemm_int16_1x4(input, w, p->in_c, sums);
      for (int32_t i = 0; i < 4 && oc < p->out_c; ++i, ++oc) {
        const int32_t scale = oc * p->scale_step;
        const int64_t acc = sm_bias_int16(p->bias, p->wide_bias, oc) + sums[i];
        const int32_t scaled = sm_scale_int16(acc, p->multiplier[scale], p->shift[scale], p->wide);
        *output++ = (int16_t)sm_clamp(scaled, p->act_min, p->act_max);
      }
    }
  }
}

#endif
