/* Sums of products of int16 activations and int8 weights. */
#ifndef SM_DOT_INT16_H
#define SM_DOT_INT16_H

#include <stdint.h>

/* So many products fit 32 bits. */
#define SM_DOT_INT16_RUN 511

/* x[0] * w[0] + ... + x[n - 1] * w[n - 1] */
static inline int64_t sm_dot_int16(const int16_t *x, const int8_t *w, int32_t n) {
  int64_t total = 0;
  while (n > 0) {
    const int32_t run = n < SM_DOT_INT16_RUN ? n : SM_DOT_INT16_RUN;
    int32_t sum = 0;
    for (int32_t i = 0; i < run; ++i) {
      sum += x[i] * w[i];
    }
    total += sum;
    x += run;
    w += run;
    n -= run;
  }
  return total;
}

#endif
