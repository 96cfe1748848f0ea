/* DEQUANTIZE, int16 to float32. */
#ifndef SM_DEQUANTIZE_INT16_H
#define SM_DEQUANTIZE_INT16_H

#include "dequantize.h"
#include "items.h"

/* The difference is exact in float32, so the product rounds once. The output may lie over the
 * input: elements are read by their bytes, as compilers assume that floats are no integers. */
SM_KERNEL void sm_dequantize_int16(const sm_dequantize_params *p, const int16_t *input,
                                   float *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = (float)(sm_get_int16(input, i) - p->zero_point) * p->scale;
  }
}

#endif
