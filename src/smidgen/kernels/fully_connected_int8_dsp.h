/* FULLY_CONNECTED, int8, for cores with DSP instructions: one multiplier for all outputs. */
#ifndef SM_FULLY_CONNECTED_INT8_DSP_H
#define SM_FULLY_CONNECTED_INT8_DSP_H

#include "fully_connected_dsp.h"

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int8_dsp(const sm_fully_connected_dsp_params *p,
                                           const int8_t *input, int8_t *output) {
  const sm_scale_dsp scale = sm_scale_dsp_of(p->multiplier[0], p->shift[0], p->twice_offset);
  sm_fully_connected_dsp(p, input, output, &scale);
}

#endif
