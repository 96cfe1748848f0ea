/* PAD and PADV2 with a value whose bytes are all the same: int8, and zero of any type. */
#ifndef SM_PAD_BYTES_H
#define SM_PAD_BYTES_H

#include "bytes.h"

/* Three nested loops over lines of the input; a line is `before`, `run` and `after` bytes long. */
typedef struct {
  int32_t size0, before0, after0;
  int32_t size1, before1, after1;
  int32_t size2, before2, after2;
  int32_t run, before, after;
  int32_t value;
} sm_pad_bytes_params;

/* The output may lie over the input wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_pad_bytes(const sm_pad_bytes_params *p, const void *input, void *output) {
  const uint8_t *in = input;
  uint8_t *out = output;
  const int32_t before = p->before, run = p->run, after = p->after, value = p->value;
  int32_t due = 0; /* bytes to be filled in before the next run */
  for (int32_t i = -p->before0; i < p->size0 + p->after0; ++i) {
    for (int32_t j = -p->before1; j < p->size1 + p->after1; ++j) {
      for (int32_t k = -p->before2; k < p->size2 + p->after2; ++k) {
        if (i < 0 || i >= p->size0 || j < 0 || j >= p->size1 || k < 0 || k >= p->size2) {
          due += before + run + after;
          continue;
        }
        due += before;
        sm_fill_bytes(out, value, due);
        out += due;
        sm_copy_bytes_down(out, in, run);
        out += run;
        in += run;
        due = after;
      }
    }
  }
  sm_fill_bytes(out, value, due);
}

#endif
