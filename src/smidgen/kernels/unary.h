/* What the kernels on one operand share. */
#ifndef SM_UNARY_H
#define SM_UNARY_H

#include "common.h"

typedef struct {
  int32_t size;
} sm_unary_params;

/* For each element: x is that of `input`, an array of `type`, and that of `output` becomes `value`.
 * The output may take the input's place. */
#define SM_EACH(p, type, input, output, value)                                                     \
  for (int32_t i = 0; i < (p)->size; ++i) {                                                        \
    const type x = (input)[i];                                                                     \
    (output)[i] = (value);                                                                         \
  }

#endif
