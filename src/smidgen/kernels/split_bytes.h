/* SPLIT, SPLIT_V and UNPACK, elements of any size: any number of results along any axis. */
#ifndef SM_SPLIT_BYTES_H
#define SM_SPLIT_BYTES_H

#include "bytes.h"

/* Each of `outer` steps gives the next `bytes[i]` bytes to every result in turn. */
typedef struct {
  int32_t outer, count;
  const int32_t *bytes; /* for each result */
} sm_split_bytes_params;

/* No result may lie over the input. */
SM_KERNEL void sm_split_bytes(const sm_split_bytes_params *p, const void *input,
                              void *const *outputs) {
  const uint8_t *in = input;
  for (int32_t step = 0; step < p->outer; ++step) {
    for (int32_t i = 0; i < p->count; ++i) {
      const int32_t bytes = p->bytes[i];
      sm_copy_bytes_down((uint8_t *)outputs[i] + step * bytes, in, bytes);
      in += bytes;
    }
  }
}

#endif
