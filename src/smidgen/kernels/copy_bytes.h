/* TRANSPOSE and STRIDED_SLICE, elements of any size: a copy that walks the input in strides. */
#ifndef SM_COPY_BYTES_H
#define SM_COPY_BYTES_H

#include "common.h"

/* Four nested loops over the input, everything in bytes; strides may be negative. The output is
 * filled in order, `run` bytes at a time. */
typedef struct {
  int32_t first, run;
  int32_t size0, stride0;
  int32_t size1, stride1;
  int32_t size2, stride2;
  int32_t size3, stride3;
} sm_copy_bytes_params;

/* The output may lie over the input wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_copy_bytes(const sm_copy_bytes_params *p, const void *input, void *output) {
  uint8_t *out = output;
  const uint8_t *in0 = (const uint8_t *)input + p->first;
  for (int32_t i = 0; i < p->size0; ++i, in0 += p->stride0) {
    const uint8_t *in1 = in0;
    for (int32_t j = 0; j < p->size1; ++j, in1 += p->stride1) {
      const uint8_t *in2 = in1;
      for (int32_t k = 0; k < p->size2; ++k, in2 += p->stride2) {
        const uint8_t *in3 = in2;
        for (int32_t l = 0; l < p->size3; ++l, in3 += p->stride3) {
          if (p->run == 1) {
            *out++ = *in3; /* a call for each byte would take longer */
          } else {
            memmove(out, in3, (size_t)p->run);
            out += p->run;
          }
        }
      }
    }
  }
}

#endif
