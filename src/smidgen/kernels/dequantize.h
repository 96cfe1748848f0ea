/* What the kernels of DEQUANTIZE share. */
#ifndef SM_DEQUANTIZE_H
#define SM_DEQUANTIZE_H

#include "common.h"

typedef struct {
  int32_t size;
  int32_t zero_point;
  float scale;
} sm_dequantize_params;

#endif
