/* FULLY_CONNECTED, int8, for cores with DSP instructions: a multiplier for each output. */
#ifndef SM_FULLY_CONNECTED_INT8_DSP_PER_CHANNEL_H
#define SM_FULLY_CONNECTED_INT8_DSP_PER_CHANNEL_H

#include "fully_connected_dsp.h"

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int8_dsp_per_channel(const sm_fully_connected_dsp_params *p,
                                                       const int8_t *input, int8_t *output) {
  sm_fully_connected_dsp(p, input, output, NULL);
}

#endif
