/* SVDF, float32: a filter over features, one over time. */
#ifndef SM_SVDF_FLOAT32_H
#define SM_SVDF_FLOAT32_H

#include "common.h"

/* The input is (batch, inputs), feature weights (units * rank, inputs), time weights
 * (units * rank, memory), the output (batch, units), the state (batch, units * rank, memory): the
 * last results of each filter, the newest one last. bias may be NULL. */
typedef struct {
  int32_t batch, inputs, units, rank, memory;
  float act_min, act_max;
  const float *bias;
  const float *feature;
  const float *time;
} sm_svdf_float32_params;

/* The new state may be the old one in place; nothing else overlaps. */
SM_KERNEL void sm_svdf_float32(const sm_svdf_float32_params *p, const float *input,
                               const float *state, float *output, float *new_state) {
  for (int32_t b = 0; b < p->batch; ++b, input += p->inputs) {
    const float *feature = p->feature;
    const float *time = p->time;
    for (int32_t unit = 0; unit < p->units; ++unit) {
      float sum = p->bias ? p->bias[unit] : 0.0f;
      for (int32_t r = 0; r < p->rank; ++r) {
        float filter = 0.0f, newest = 0.0f;
        for (int32_t i = 1; i < p->memory; ++i, ++time, ++new_state) {
          *new_state = *++state;
          filter += *time * *new_state;
        }
        for (int32_t i = 0; i < p->inputs; ++i) {
          newest += input[i] * *feature++;
        }
        filter += *time++ * newest;
        *new_state++ = newest;
        ++state;
        sum += filter;
      }
      sum = sum < p->act_min ? p->act_min : sum;
      *output++ = sum > p->act_max ? p->act_max : sum;
    }
  }
}

#endif
