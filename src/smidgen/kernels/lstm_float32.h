/* UNIDIRECTIONAL_SEQUENCE_LSTM, float32: any number of steps. */
#ifndef SM_LSTM_FLOAT32_H
#define SM_LSTM_FLOAT32_H

#include "common.h"
#include "math_exp.h"
#include "tanh_float32.h"

/* x is (steps, inputs) for each sample of the batch, x_step and x_batch elements apart; the output
 * is (steps, units) likewise. Weights are (4 * units, inputs) and (4 * units, units), gate by gate:
 * input, forget, cell, output. clip: largest magnitude of a cell state, 0: any. */
typedef struct {
  int32_t batch, steps, inputs, units;
  int32_t x_batch, x_step, output_batch, output_step;
  float clip;
  const float *bias;
  const float *x_weights, *hidden_weights;
} sm_lstm_float32_params;

static inline float sm_lstm_dot(const float *a, const float *b, int32_t n) {
  float sum = 0.0f;
  for (int32_t i = 0; i < n; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

static inline float sm_lstm_logistic(float x) { return 1.0f / (1.0f + sm_exp(-x)); }

/* scratch, aligned to 4: 16 bytes for each unit. The new states may be the old ones in place;
 * otherwise nothing overlaps. */
SM_KERNEL void sm_lstm_float32(const sm_lstm_float32_params *p, const float *x, const float *hidden,
                               const float *cell, float *output, float *new_hidden, float *new_cell,
                               void *scratch) {
  float *const gates = scratch;
  const int32_t units = p->units, states = p->batch * units;
  memmove(new_hidden, hidden, (size_t)states * sizeof *hidden);
  memmove(new_cell, cell, (size_t)states * sizeof *cell);
  for (int32_t b = 0; b < p->batch; ++b, new_hidden += units, new_cell += units) {
    const float *at = x + b * p->x_batch;
    float *out = output + b * p->output_batch;
    for (int32_t step = 0; step < p->steps; ++step, at += p->x_step, out += p->output_step) {
      for (int32_t i = 0; i < 4 * units; ++i) {
        gates[i] = p->bias[i] + sm_lstm_dot(p->x_weights + i * p->inputs, at, p->inputs) +
                   sm_lstm_dot(p->hidden_weights + i * units, new_hidden, units);
      }
      for (int32_t i = 0; i < units; ++i) {
        float c = sm_lstm_logistic(gates[units + i]) * new_cell[i] +
                  sm_lstm_logistic(gates[i]) * sm_tanh_one_float32(gates[2 * units + i]);
        if (p->clip > 0.0f) {
          c = c < -p->clip ? -p->clip : (c > p->clip ? p->clip : c);
        }
        new_cell[i] = c;
        new_hidden[i] = sm_tanh_one_float32(c) * sm_lstm_logistic(gates[3 * units + i]);
        out[i] = new_hidden[i];
      }
    }
  }
}

#endif
