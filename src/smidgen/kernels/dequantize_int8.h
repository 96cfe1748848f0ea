/* DEQUANTIZE, int8 to float32. */
#ifndef SM_DEQUANTIZE_INT8_H
#define SM_DEQUANTIZE_INT8_H

#include "dequantize.h"

/* The difference is exact in float32, so the product rounds once. */
SM_KERNEL void sm_dequantize_int8(const sm_dequantize_params *p, const int8_t *input,
                                  float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = (float)(input[i] - p->zero_point) * p->scale;
  }
}

#endif
