/* SVDF, int8 activations, int16 time weights and state: a filter over features, one over time. */
#ifndef SM_SVDF_INT16_H
#define SM_SVDF_INT16_H

#include "common.h"
#include "requantize.h"

/* The input is (batch, inputs), feature weights (units * rank, inputs), time weights
 * (units * rank, memory), the output (batch, units), the state (batch, units * rank, memory): the
 * last results of each filter, the newest one last. bias may be NULL. Sums over features must
 * fit int32. */
typedef struct {
  int32_t batch, inputs, units, rank, memory;
  int32_t input_offset, state_zero, output_offset;
  int32_t multiplier, shift;         /* of the sums over features */
  int32_t out_multiplier, out_shift; /* of those over time */
  const int32_t *bias;
  const int8_t *feature;
  const int16_t *time;
} sm_svdf_int16_params;

/* A filter's new result. Beyond the range of the state it wraps when the zero point is added. */
static inline int16_t sm_svdf_int16_newest(const sm_svdf_int16_params *p, const int8_t *input,
                                           const int8_t *weights) {
  int32_t sum = 0;
  for (int32_t i = 0; i < p->inputs; ++i) {
    sum += (input[i] + p->input_offset) * weights[i];
  }
  sum = sm_clamp(sm_requantize(sum, p->multiplier, p->shift), INT16_MIN, INT16_MAX);
  return (int16_t)(sum + p->state_zero);
}

/* The new state may be the old one in place; nothing else overlaps. */
SM_KERNEL void sm_svdf_int16(const sm_svdf_int16_params *p, const int8_t *input,
                             const int16_t *state, int8_t *output, int16_t *new_state) {
  for (int32_t b = 0; b < p->batch; ++b, input += p->inputs) {
    const int8_t *feature = p->feature;
    const int16_t *time = p->time;
    for (int32_t unit = 0; unit < p->units; ++unit) {
      uint32_t sum = (uint32_t)(p->bias ? p->bias[unit] : 0); /* modulo 2^32 */
      for (int32_t r = 0; r < p->rank; ++r, feature += p->inputs) {
        for (int32_t i = 1; i < p->memory; ++i, ++time, ++new_state) {
          *new_state = *++state;
          sum += (uint32_t)(*time * (*new_state - p->state_zero));
        }
        *new_state = sm_svdf_int16_newest(p, input, feature);
        sum += (uint32_t)(*time++ * (*new_state++ - p->state_zero));
        ++state;
      }
      const int32_t out = sm_requantize((int32_t)sum, p->out_multiplier, p->out_shift);
      *output++ = (int8_t)sm_clamp(out + p->output_offset, INT8_MIN, INT8_MAX);
    }
  }
}

#endif
