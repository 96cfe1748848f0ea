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
  const int8_t *const table = p->table;
  int32_t left = p->size;
  for (; left >= 4; left -= 4, input += 4, output += 4) {
    const int8_t a = table[(uint8_t)input[0]], b = table[(uint8_t)input[1]];
    const int8_t c = table[(uint8_t)input[2]], d = table[(uint8_t)input[3]];
    output[0] = a;
    output[1] = b;
    output[2] = c;
    output[3] = d;
  }
  for (; left > 0; --left) {
    *output++ = table[(uint8_t)*input++];
  }
}

#endif
