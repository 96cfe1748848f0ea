/* SOFTMAX over the last axis, int8 to int8 (output scale 1/256, zero point -128). */
#ifndef SM_SOFTMAX_INT8_H
#define SM_SOFTMAX_INT8_H

#include "common.h"
#include "fixed_point.h"
#include "softmax_row.h"

/* May compute in place. */
SM_KERNEL void sm_softmax_int8(const sm_softmax_int8_params *p, const int8_t *input,
                               int8_t *output) {
  for (int32_t i = 0; i < p->rows; ++i, input += p->depth, output += p->depth) {
    const sm_softmax_row row = sm_softmax_int8_row(p, input);
    const int32_t exponent = row.bits + 31 - 8;
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t d = row.max - input[c];
      int32_t q = 0;
      if (d < p->table_size && exponent <= 31) {
        q = sm_divide_by_pot(sm_high_mul(row.scale, p->table[d]), exponent);
      }
      output[c] = (int8_t)(q > 255 ? 127 : q - 128);
    }
  }
}

#endif
