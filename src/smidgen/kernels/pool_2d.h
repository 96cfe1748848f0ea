/* What the kernels that pool a window of each channel share. */
#ifndef SM_POOL_2D_H
#define SM_POOL_2D_H

#include "common.h"
#include "window.h"

/* Shapes are channels-last. The dilation is 1. Sums of int8 must fit int32: kernel_h * kernel_w
 * up to 16,000,000. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t act_min, act_max;
} sm_pool_2d_int8_params;

typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  float act_min, act_max;
} sm_pool_2d_float32_params;

#endif
