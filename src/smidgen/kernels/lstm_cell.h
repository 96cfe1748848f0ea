/* What the integer kernels of an LSTM share: from the sums of the gates to the states. */
#ifndef SM_LSTM_CELL_H
#define SM_LSTM_CELL_H

#include "common.h"
#include "requantize.h"
#include "sigmoid_table.h"

/* Gates are input, forget, cell and output, int16 of scale 2^-12. Factors of forget gate times cell
 * state, of input gate times cell gate, and of output gate times tanh of the cell state. */
typedef struct {
  int32_t forget_multiplier, forget_shift;
  int32_t update_multiplier, update_shift;
  int32_t output_multiplier, output_shift, output_offset;
  int32_t tanh_multiplier, tanh_shift; /* of a cell state for the table; the shift to the right */
  int32_t clip;                        /* largest magnitude of a cell state, 0: any */
  const int16_t *sigmoid;              /* see sigmoid_table.h */
} sm_lstm_cell;

static inline int32_t sm_lstm_limit(int32_t x) { return sm_clamp(x, INT16_MIN, INT16_MAX); }

/* One unit: the new cell state, and the new hidden state before it is limited to its type. gates:
 * those of this unit, `units` apart. */
static inline int32_t sm_lstm_hidden(const sm_lstm_cell *p, const int16_t *gates, int32_t units,
                                     int16_t *cell) {
  const int32_t input = sm_sigmoid_logistic(p->sigmoid, 3 * gates[0]);
  const int32_t forget = sm_sigmoid_logistic(p->sigmoid, 3 * gates[units]);
  const int32_t given = sm_sigmoid_tanh(p->sigmoid, 3 * gates[2 * units]);
  const int32_t output = sm_sigmoid_logistic(p->sigmoid, 3 * gates[3 * units]);
  const int32_t kept = sm_requantize(forget * *cell, p->forget_multiplier, p->forget_shift);
  const int32_t added = sm_requantize(input * given, p->update_multiplier, p->update_shift);
  int32_t c = sm_lstm_limit(sm_lstm_limit(kept) + sm_lstm_limit(added));
  if (p->clip > 0) {
    c = sm_clamp(c, -p->clip, p->clip);
  }
  *cell = (int16_t)c;
  const int32_t half = ((int32_t)1 << p->tanh_shift) >> 1;
  const int32_t squashed =
      sm_sigmoid_tanh(p->sigmoid, (c * p->tanh_multiplier + half) >> p->tanh_shift);
  return sm_requantize(squashed * output, p->output_multiplier, p->output_shift) + p->output_offset;
}

#endif
