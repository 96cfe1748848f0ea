/* FULLY_CONNECTED, int8 with int4 weights: every row of the input times the weights. */
#ifndef SM_FULLY_CONNECTED_INT4_H
#define SM_FULLY_CONNECTED_INT4_H

#include "common.h"
#include "fully_connected_int8.h"
#include "int4.h"
#include "requantize.h"

/* p->weights are (out_c, in_c), two to a byte. Otherwise this is sm_fully_connected_int8: the
 * output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int4(const sm_fully_connected_int8_params *p, const int8_t *input,
                                       int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c) {
    for (int32_t oc = 0; oc < p->out_c; ++oc) {
      const int32_t scale = oc * p->scale_step;
      int32_t acc = p->bias ? p->bias[oc] : 0;
      acc = sm_int4_dot(acc, input, p->input_offset, p->weights, oc * p->in_c, p->in_c);
      acc = sm_requantize(acc, p->multiplier[scale], p->shift[scale]) + p->output_offset;
      *output++ = (int8_t)sm_clamp(acc, p->act_min, p->act_max);
    }
  }
}

#endif
