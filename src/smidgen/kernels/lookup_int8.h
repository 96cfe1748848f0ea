/* Any int8 function of one input, as a table of its 256 answers. */
#ifndef SM_LOOKUP_INT8_H
#define SM_LOOKUP_INT8_H

#include "common.h"

/* table: 256 answers by the input's bits as an unsigned byte (0 .. 127, then -128 .. -1). */
typedef struct {
  int32_t size;
  const int8_t *table;
} sm_lookup_int8_params;

/* May compute in place. */
SM_KERNEL void sm_lookup_int8(const sm_lookup_int8_params *p, const int8_t *input, int8_t *output) {
  for (int32_t i = 0; i < p->size; ++i) {
    output[i] = p->table[(uint8_t)input[i]];
  }
}

#endif
