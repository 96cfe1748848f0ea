/* SOFTMAX over the last axis, int8 to int8 (output scale 1/256, zero point -128). */
#ifndef SM_SOFTMAX_INT8_H
#define SM_SOFTMAX_INT8_H

#include "common.h"
#include "fixed_point.h"

/* table: e^(-beta * scale * d) in Q0.31 for distances d = 0 .. table_size - 1 from a row's
 * maximum, 1 to 256 of them; farther ones count as 0. depth: 1 to 4,095. */
typedef struct {
  int32_t rows, depth;
  int32_t table_size;
  const int32_t *table;
} sm_softmax_int8_params;

/* May compute in place. */
SM_KERNEL void sm_softmax_int8(const sm_softmax_int8_params *p, const int8_t *input,
                               int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    int32_t max = -128;
    for (int32_t c = 0; c < p->depth; ++c) {
      max = input[c] > max ? input[c] : max;
    }
    uint32_t sum = 0; /* Q12.19, at least 1 */
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t d = max - input[c];
      if (d < p->table_size) {
        sum += (uint32_t)sm_divide_by_pot(p->table[d], 12);
      }
    }
    /* sum = (1 + fraction) * 2^bits, and its reciprocal is scale * 2^-bits. */
    int32_t bits = 12;
    for (; sum < 0x80000000u; sum <<= 1) {
      --bits;
    }
    const int32_t scale = sm_one_over_one_plus_x((int32_t)(sum & 0x7fffffffu));
    const int32_t exponent = bits + 31 - 8;
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t d = max - input[c];
      int32_t q = 0;
      if (d < p->table_size && exponent <= 31) {
        q = sm_divide_by_pot(sm_high_mul(scale, p->table[d]), exponent);
      }
      output[c] = (int8_t)(q > 255 ? 127 : q - 128);
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
