/* BATCH_MATMUL, float32: products of matrices, either of which may be transposed. */
#ifndef SM_BATCH_MATMUL_FLOAT32_H
#define SM_BATCH_MATMUL_FLOAT32_H

#include "common.h"

/* batch: products along each of three axes; x_batch and y_batch: elements from one matrix to the
 * next along them, 0 for one that is used again. The output is (batch, rows, columns); x_row,
 * x_depth, y_column and y_depth are elements from one term of a sum to the next, and so on. */
typedef struct {
  int32_t batch_0, batch_1, batch_2;
  int32_t x_batch_0, x_batch_1, x_batch_2;
  int32_t y_batch_0, y_batch_1, y_batch_2;
  int32_t rows, columns, depth;
  int32_t x_row, x_depth;
  int32_t y_column, y_depth;
} sm_batch_matmul_float32_params;

/* Every output needs a whole row and a whole column: it must not overlap the operands. */
SM_KERNEL void sm_batch_matmul_float32(const sm_batch_matmul_float32_params *p, const float *x,
                                       const float *y, float *output) {
  for (int32_t b = 0; b < p->batch_0 * p->batch_1 * p->batch_2; ++b) {
    const int32_t b2 = b % p->batch_2, b1 = b / p->batch_2 % p->batch_1;
    const int32_t b0 = b / p->batch_2 / p->batch_1;
    const float *a = x + b0 * p->x_batch_0 + b1 * p->x_batch_1 + b2 * p->x_batch_2;
    for (int32_t row = 0; row < p->rows; ++row, a += p->x_row) {
      const float *c = y + b0 * p->y_batch_0 + b1 * p->y_batch_1 + b2 * p->y_batch_2;
      for (int32_t column = 0; column < p->columns; ++column, c += p->y_column) {
        float acc = 0.0f;
        for (int32_t k = 0; k < p->depth; ++k) {
          acc += a[k * p->x_depth] * c[k * p->y_depth];
        }
        *output++ = acc;
      }
    }
  }
}

#endif
