/* DEPTHWISE_CONV_2D, int8, for cores with DSP instructions: 3x3 windows, stride 1, no dilation,
 * depth multiplier 1, outputs rounded twice
 * as they are. */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_3X3_EXACT_H
#define SM_DEPTHWISE_CONV_2D_INT8_3X3_EXACT_H

#include "depthwise_3x3_stride1.h"

SM_KERNEL void sm_depthwise_conv_2d_int8_3x3_exact(const sm_depthwise_dsp_params *p,
                                                   const int8_t *input, int8_t *output,
                                                   void *scratch) {
  sm_depthwise_run(p, input, output, scratch, sm_depthwise_3x3_exact);
}

#endif
