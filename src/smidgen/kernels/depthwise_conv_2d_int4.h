/* DEPTHWISE_CONV_2D, int8 with int4 weights: any stride, dilation, padding and multiplier. */
#ifndef SM_DEPTHWISE_CONV_2D_INT4_H
#define SM_DEPTHWISE_CONV_2D_INT4_H

#include "common.h"
#include "depthwise_conv_2d_int8.h"
#include "int4.h"

/* p->weights are (kernel_h, kernel_w, in_c * depth_multiplier), two to a byte. They are few, and
 * read once for each output pixel: unpacked to scratch, a byte each, they are int8 weights.
 * Otherwise this is sm_depthwise_conv_2d_int8, overlap included. */
SM_KERNEL void sm_depthwise_conv_2d_int4(const sm_depthwise_conv_2d_int8_params *p,
                                         const int8_t *input, int8_t *output, void *scratch) {
  sm_depthwise_conv_2d_int8_params unpacked = *p;
  sm_int4_unpack(scratch, p->weights, p->kernel_h * p->kernel_w * p->in_c * p->depth_multiplier);
  unpacked.weights = scratch;
  sm_depthwise_conv_2d_int8(&unpacked, input, output);
}

#endif
