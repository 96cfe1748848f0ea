/* BATCH_MATMUL, int8, for cores with DSP instructions: the terms of a row of x lie together. */
#ifndef SM_BATCH_MATMUL_INT8_DSP_H
#define SM_BATCH_MATMUL_INT8_DSP_H

#include "batch_matmul_int8.h"
#include "requantize_dsp.h"

/* One column of y, less its zero point, as words of two terms: for every four terms those of 0 and
 * 2, then of 1 and 3, eight words from the next four. Terms beyond the last are zero. Returns the
 * sum. */
static SM_PART int32_t sm_batch_matmul_column(const sm_batch_matmul_int8_params *p, const int8_t *y,
                                              int16_t *words) {
  const uint32_t offsets = sm_pack16(p->y_offset, p->y_offset), ones = sm_pack16(1, 1);
  int32_t left = p->depth, sum = 0;
  if (p->y_depth == 1) {
    for (; left >= 4; left -= 4, y += 4, words += 16) {
      const uint32_t four = sm_load32(y);
      const uint32_t even = sm_sxtab16(offsets, four), odd = sm_sxtab16_ror8(offsets, four);
      sm_store32(words, even);
      sm_store32(words + 2, odd);
      sum = sm_smlad(odd, ones, sm_smlad(even, ones, sum));
    }
  }
  for (; left > 0; left -= 4, words += 16) {
    int16_t four[4] = {0, 0, 0, 0};
    for (int32_t k = 0; k < 4 && k < left; ++k, y += p->y_depth) {
      four[k] = (int16_t)(*y + p->y_offset);
      sum += four[k];
    }
    sm_store32(words, sm_pack16(four[0], four[2]));
    sm_store32(words + 2, sm_pack16(four[1], four[3]));
  }
  return sum;
}

/* Adds the products of four terms with each of four columns. */
SM_DSP void sm_batch_matmul_add(int32_t sums[4], uint32_t x, const int16_t *w) {
  const uint32_t x02 = sm_sxtb16(x), x13 = sm_sxtb16_ror8(x);
  for (int32_t i = 0; i < 4; ++i) {
    sums[i] = sm_smlad(x02, sm_load32(w + 4 * i), sums[i]);
    sums[i] = sm_smlad(x13, sm_load32(w + 4 * i + 2), sums[i]);
  }
}

/* scratch, aligned to 4: eight bytes for every term of a sum, filled up to fours. shift: to the
 * left, -21 to -1; twice a sum fits 31 bits. */
SM_KERNEL void sm_batch_matmul_int8_dsp(const sm_batch_matmul_int8_params *p, const int8_t *x,
                                        const int8_t *y, int8_t *output, void *scratch) {
  const sm_scale_dsp scale = sm_scale_dsp_of(p->multiplier, -p->shift, 2 * p->output_offset + 1);
  const int32_t rest = p->depth % 4;
  for (int32_t b = 0; b < p->batch_0 * p->batch_1 * p->batch_2; ++b) {
    const int32_t b2 = b % p->batch_2, b1 = b / p->batch_2 % p->batch_1;
    const int32_t b0 = b / p->batch_2 / p->batch_1;
    const int8_t *const left = x + b0 * p->x_batch_0 + b1 * p->x_batch_1 + b2 * p->x_batch_2;
    const int8_t *right = y + b0 * p->y_batch_0 + b1 * p->y_batch_1 + b2 * p->y_batch_2;
    for (int32_t column = 0; column < p->columns; column += 4, right += 4 * p->y_column) {
      const int32_t columns = p->columns - column < 4 ? p->columns - column : 4;
      int32_t starts[4] = {0, 0, 0, 0};       /* x's offset times the sum of each column */
      for (int32_t i = 0; i < columns; ++i) { /* those beyond the last may hold anything */
        int16_t *const words = (int16_t *)scratch + 4 * i;
        starts[i] = p->x_offset * sm_batch_matmul_column(p, right + i * p->y_column, words);
      }
      int8_t *out = output + column;
      const int8_t *row = left;
      for (int32_t i = 0; i < p->rows; ++i, row += p->x_row, out += p->columns) {
        int32_t sums[4] = {starts[0], starts[1], starts[2], starts[3]};
        const int16_t *w = scratch;
        const int8_t *a = row;
        for (; a != row + p->depth - rest; a += 4, w += 16) {
          sm_batch_matmul_add(sums, sm_load32(a), w);
        }
        if (rest) {
          uint32_t last = 0;
          for (int32_t k = rest; k > 0; --k) {
            last = last << 8 | (uint8_t)a[k - 1];
          }
          sm_batch_matmul_add(sums, last, w);
        }
        for (int32_t k = 0; k < columns; ++k) {
          out[k] = (int8_t)sm_requantize_dsp(2 * sums[k], scale);
        }
      }
    }
    output += p->rows * p->columns;
  }
}

#endif
