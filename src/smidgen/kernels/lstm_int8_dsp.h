/* UNIDIRECTIONAL_SEQUENCE_LSTM, int8, for cores with DSP instructions. */
#ifndef SM_LSTM_INT8_DSP_H
#define SM_LSTM_INT8_DSP_H

#include "fully_connected_dsp.h"
#include "lstm_int8.h"

/* As sm_lstm_int8_params, with weights as FULLY_CONNECTED's DSP kernel has them, gate by gate; the
 * rows of each gate, and its biases, are filled up to fours. */
typedef struct {
  int32_t batch, steps, inputs, units;
  int32_t x_batch, x_step, output_batch, output_step;
  sm_lstm_cell cell;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *x_bias, *hidden_bias;
  const int32_t *x_weights, *hidden_weights;
} sm_lstm_int8_dsp_params;

/* One matrix times a vector, four rows at a time, requantized gate by gate; added to what is there
 * if `add`. */
static SM_PART void sm_lstm_int8_dsp_gates(const int32_t *weights, const int32_t *bias,
                                           const int32_t *multiplier, const int8_t *shift,
                                           const int8_t *vector, int32_t n, int32_t units,
                                           int32_t add, int16_t *gates) {
  const int32_t rest = n & (4 * SM_UNROLL - 1);
  const int8_t *const end = vector + n - rest;
  for (int32_t gate = 0; gate < 4; ++gate) {
    for (int32_t left = units; left > 0; left -= 4, bias += 4) {
      sm_fc_sums sums = {0, 0, 0, 0};
      for (const int8_t *in = vector; in != end;) {
        sm_fc_step(&sums, &in, &weights);
        sm_fc_step(&sums, &in, &weights);
#if SM_UNROLL > 2
        sm_fc_step(&sums, &in, &weights);
        sm_fc_step(&sums, &in, &weights);
#endif
#if SM_UNROLL > 4
        sm_fc_step(&sums, &in, &weights);
        sm_fc_step(&sums, &in, &weights);
        sm_fc_step(&sums, &in, &weights);
        sm_fc_step(&sums, &in, &weights);
#endif
      }
      if (rest) {
        sm_fc_rest(&sums, end, &weights, rest);
      }
      const int32_t all[4] = {sums.a, sm_wrap_sub(sums.ab, sums.a) >> 8, sums.c,
                              sm_wrap_sub(sums.cd, sums.c) >> 8};
      for (int32_t i = 0; i < 4 && i < left; ++i, ++gates) {
        const int32_t scaled =
            sm_lstm_limit(sm_requantize(all[i] + bias[i], multiplier[gate], shift[gate]));
        *gates = (int16_t)(add ? sm_lstm_limit(*gates + scaled) : scaled);
      }
    }
  }
}

/* scratch, aligned to 2: 8 bytes for each unit. The new states may be the old ones in place;
 * otherwise nothing overlaps. */
SM_KERNEL void sm_lstm_int8_dsp(const sm_lstm_int8_dsp_params *p, const int8_t *x,
                                const int8_t *hidden, const int16_t *cell, int8_t *output,
                                int8_t *new_hidden, int16_t *new_cell, void *scratch) {
  int16_t *const gates = scratch;
  const int32_t states = p->batch * p->units;
  memmove(new_hidden, hidden, (size_t)states * sizeof *hidden);
  memmove(new_cell, cell, (size_t)states * sizeof *cell);
  for (int32_t b = 0; b < p->batch; ++b, new_hidden += p->units, new_cell += p->units) {
    const int8_t *at = x + b * p->x_batch;
    int8_t *out = output + b * p->output_batch;
    for (int32_t step = 0; step < p->steps; ++step, at += p->x_step, out += p->output_step) {
      sm_lstm_int8_dsp_gates(p->x_weights, p->x_bias, p->multiplier, p->shift, at, p->inputs,
                             p->units, 0, gates);
      sm_lstm_int8_dsp_gates(p->hidden_weights, p->hidden_bias, p->multiplier + 4, p->shift + 4,
                             new_hidden, p->units, p->units, 1, gates);
      sm_lstm_int8_states(&p->cell, gates, p->units, new_hidden, new_cell, out);
    }
  }
}

#endif
