/* CONCATENATION and PACK, elements of any size: any number of operands along any axis. */
#ifndef SM_CONCATENATION_BYTES_H
#define SM_CONCATENATION_BYTES_H

#include "bytes.h"

/* Each of `outer` steps takes the next `bytes[i]` bytes from every operand in turn. */
typedef struct {
  int32_t outer, count;
  const int32_t *bytes; /* for each operand */
} sm_concatenation_bytes_params;

/* The output may lie over an operand wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_concatenation_bytes(const sm_concatenation_bytes_params *p,
                                      const void *const *inputs, void *output) {
  uint8_t *out = output;
  for (int32_t step = 0; step < p->outer; ++step) {
    for (int32_t i = 0; i < p->count; ++i) {
      const int32_t bytes = p->bytes[i];
      sm_copy_bytes_down(out, (const uint8_t *)inputs[i] + step * bytes, bytes);
      out += bytes;
    }
  }
}

#endif
