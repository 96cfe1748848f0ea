/* BATCH_MATMUL, int16: products of matrices, either of which may be transposed. */
#ifndef SM_BATCH_MATMUL_INT16_H
#define SM_BATCH_MATMUL_INT16_H

#include "common.h"
#include "requantize.h"
#include "requantize_wide.h"

/* batch: products along each of three axes; x_batch and y_batch: elements from one matrix to the
 * next along them, 0 for one that is used again. The output is (batch, rows, columns); x_row,
 * x_depth, y_column and y_depth are elements from one term of a sum to the next, and so on.
 * Zero points are 0. Sums must fit 48 bits: a depth up to 131,000. */
typedef struct {
  int32_t batch_0, batch_1, batch_2;
  int32_t x_batch_0, x_batch_1, x_batch_2;
  int32_t y_batch_0, y_batch_1, y_batch_2;
  int32_t rows, columns, depth;
  int32_t x_row, x_depth;
  int32_t y_column, y_depth;
  int32_t multiplier, shift;
} sm_batch_matmul_int16_params;

/* Every output needs a whole row and a whole column: it must not overlap the operands. */
SM_KERNEL void sm_batch_matmul_int16(const sm_batch_matmul_int16_params *p, const int16_t *x,
                                     const int16_t *y, int16_t *output) {
  for (int32_t b = 0; b < p->batch_0 * p->batch_1 * p->batch_2; ++b) {
    const int32_t b2 = b % p->batch_2, b1 = b / p->batch_2 % p->batch_1;
    const int32_t b0 = b / p->batch_2 / p->batch_1;
    const int16_t *a = x + b0 * p->x_batch_0 + b1 * p->x_batch_1 + b2 * p->x_batch_2;
    for (int32_t row = 0; row < p->rows; ++row, a += p->x_row) {
      const int16_t *c = y + b0 * p->y_batch_0 + b1 * p->y_batch_1 + b2 * p->y_batch_2;
      for (int32_t column = 0; column < p->columns; ++column, c += p->y_column) {
        int64_t acc = 0;
        for (int32_t k = 0; k < p->depth; ++k) {
          acc += (int32_t)a[k * p->x_depth] * c[k * p->y_depth];
        }
        const int32_t scaled = sm_requantize_wide(acc, p->multiplier, p->shift);
        *output++ = (int16_t)sm_clamp(scaled, INT16_MIN, INT16_MAX);
      }
    }
  }
}

#endif
