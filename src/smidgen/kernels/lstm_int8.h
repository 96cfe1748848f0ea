/* UNIDIRECTIONAL_SEQUENCE_LSTM, int8 activations: any number of steps. */
#ifndef SM_LSTM_INT8_H
#define SM_LSTM_INT8_H

#include "common.h"
#include "lstm_cell.h"
#include "requantize.h"

/* x is (steps, inputs) for each sample of the batch, x_step and x_batch elements apart; the output
 * is (steps, units) likewise. Weights are (4 * units, inputs) and (4 * units, units), gate by gate;
 * so are the biases, minus the zero points times the sums of weights being part of them.
 * multiplier, shift: of the sums of x for each gate, then of those of the hidden state.
 * Sums must fit int32. */
typedef struct {
  int32_t batch, steps, inputs, units;
  int32_t x_batch, x_step, output_batch, output_step;
  sm_lstm_cell cell;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *x_bias, *hidden_bias;
  const int8_t *x_weights, *hidden_weights;
} sm_lstm_int8_params;

/* One matrix times a vector, requantized gate by gate; added to what is there if `add`. */
static SM_PART void sm_lstm_int8_gates(const int8_t *weights, const int32_t *bias,
                                       const int32_t *multiplier, const int8_t *shift,
                                       const int8_t *vector, int32_t n, int32_t units, int32_t add,
                                       int16_t *gates) {
  for (int32_t gate = 0; gate < 4; ++gate) {
    for (int32_t unit = 0; unit < units; ++unit, weights += n) {
      int32_t sum = *bias++;
      for (int32_t i = 0; i < n; ++i) {
        sum += vector[i] * weights[i];
      }
      const int32_t scaled = sm_lstm_limit(sm_requantize(sum, multiplier[gate], shift[gate]));
      *gates = (int16_t)(add ? sm_lstm_limit(*gates + scaled) : scaled);
      ++gates;
    }
  }
}

/* One step of all units of a sample, once its gates are there. */
static inline void sm_lstm_int8_states(const sm_lstm_cell *cell, const int16_t *gates,
                                       int32_t units, int8_t *hidden, int16_t *cells, int8_t *out) {
  for (int32_t i = 0; i < units; ++i) {
    const int32_t h = sm_lstm_hidden(cell, gates + i, units, cells + i);
    hidden[i] = (int8_t)sm_clamp(h, INT8_MIN, INT8_MAX);
    out[i] = hidden[i];
  }
}

/* scratch, aligned to 2: 8 bytes for each unit. The new states may be the old ones in place;
 * otherwise nothing overlaps. */
SM_KERNEL void sm_lstm_int8(const sm_lstm_int8_params *p, const int8_t *x, const int8_t *hidden,
                            const int16_t *cell, int8_t *output, int8_t *new_hidden,
                            int16_t *new_cell, void *scratch) {
  int16_t *const gates = scratch;
  const int32_t states = p->batch * p->units;
  memmove(new_hidden, hidden, (size_t)states * sizeof *hidden);
  memmove(new_cell, cell, (size_t)states * sizeof *cell);
  for (int32_t b = 0; b < p->batch; ++b, new_hidden += p->units, new_cell += p->units) {
    const int8_t *at = x + b * p->x_batch;
    int8_t *out = output + b * p->output_batch;
    for (int32_t step = 0; step < p->steps; ++step, at += p->x_step, out += p->output_step) {
      sm_lstm_int8_gates(p->x_weights, p->x_bias, p->multiplier, p->shift, at, p->inputs, p->units,
                         0, gates);
      sm_lstm_int8_gates(p->hidden_weights, p->hidden_bias, p->multiplier + 4, p->shift + 4,
                         new_hidden, p->units, p->units, 1, gates);
      sm_lstm_int8_states(&p->cell, gates, p->units, new_hidden, new_cell, out);
    }
  }
}

#endif
