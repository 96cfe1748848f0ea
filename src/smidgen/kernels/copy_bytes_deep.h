/* What copy_bytes.h does, for any number of nested loops. */
#ifndef SM_COPY_BYTES_DEEP_H
#define SM_COPY_BYTES_DEEP_H

#include "bytes.h"

enum { SM_COPY_LOOPS = 16 };

/* `loops` nested loops over the input, at most 16, everything in bytes; strides may be negative.
 * The output is filled in order, `run` bytes at a time, `runs` times. */
typedef struct {
  int32_t first, run, runs, loops;
  const int32_t *sizes, *strides; /* of each loop, the outermost first */
} sm_copy_bytes_deep_params;

/* The output may lie over the input wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_copy_bytes_deep(const sm_copy_bytes_deep_params *p, const void *input,
                                  void *output) {
  const uint8_t *in = (const uint8_t *)input + p->first;
  uint8_t *out = output;
  const int32_t run = p->run;
  int32_t at[SM_COPY_LOOPS] = {0};
  for (int32_t left = p->runs; left > 0; --left, out += run) {
    sm_copy_bytes_down(out, in, run);
    /* On to the next run: the loops that are at their end start again. */
    for (int32_t d = p->loops - 1; d >= 0; --d) {
      in += p->strides[d];
      if (++at[d] < p->sizes[d]) {
        break;
      }
      in -= p->sizes[d] * p->strides[d];
      at[d] = 0;
    }
  }
}

#endif
