/* What the SOFTMAX kernels of int8 elements share: a row's sum of exponentials, from a table. */
#ifndef SM_SOFTMAX_ROW_H
#define SM_SOFTMAX_ROW_H

#include "common.h"
#include "fixed_point.h"

/* table: e^(-beta * scale * d) in Q0.31 for distances d = 0 .. table_size - 1 from a row's
 * maximum, 1 to 256 of them; farther ones count as 0. depth: 1 to 4,095. */
typedef struct {
  int32_t rows, depth;
  int32_t table_size;
  const int32_t *table;
} sm_softmax_int8_params;

/* What one row is worked out from: its maximum, and the reciprocal of the sum of its exponentials,
 * which is scale * 2^-bits. */
typedef struct {
  int32_t max, scale, bits;
} sm_softmax_row;

static inline sm_softmax_row sm_softmax_int8_row(const sm_softmax_int8_params *p,
                                                 const int8_t *input) {
  sm_softmax_row row = {-128, 0, 12};
  for (int32_t c = 0; c < p->depth; ++c) {
    row.max = input[c] > row.max ? input[c] : row.max;
  }
  uint32_t sum = 0; /* Q12.19, at least 1 */
  for (int32_t c = 0; c < p->depth; ++c) {
    const int32_t d = row.max - input[c];
    if (d < p->table_size) {
      sum += (uint32_t)sm_divide_by_pot(p->table[d], 12);
    }
  }
  /* sum = (1 + fraction) * 2^bits, and its reciprocal is scale * 2^-bits. */
  for (; sum < 0x80000000u; sum <<= 1) {
    --row.bits;
  }
  row.scale = sm_one_over_one_plus_x((int32_t)(sum & 0x7fffffffu));
  return row;
}

#endif
