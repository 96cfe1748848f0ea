/* QUANTIZE between int8, int16 and int32: to another scale, another size or both. */
#ifndef SM_QUANTIZE_INTEGERS_H
#define SM_QUANTIZE_INTEGERS_H

#include "items.h"
#include "requantize.h"

/* input_item, output_item: bytes of an element, 1, 2 or 4. input_offset: minus the zero point.
 * low, high: limits of the output's type. */
typedef struct {
  int32_t size;
  int32_t input_item;
  int32_t input_offset, output_offset;
  int32_t multiplier, shift;
  int32_t low, high;
  int32_t output_item;
} sm_quantize_integers_params;

/* Elements are read and written in order: the output may lie over the input as far as it never
 * catches up with what is still to be read. */
SM_KERNEL void sm_quantize_integers(const sm_quantize_integers_params *p, const void *input,
                                    void *output) {
  const sm_quantize_integers_params q = *p; /* outputs do not change it, as compilers see */
  for (int32_t i = 0; i < q.size; ++i) {
    const int32_t x = q.input_item == 1   ? ((const int8_t *)input)[i]
                      : q.input_item == 2 ? sm_get_int16(input, i)
                                          : sm_get_int32(input, i);
    const int32_t scaled = sm_requantize(x + q.input_offset, q.multiplier, q.shift);
    const int32_t y = sm_clamp(scaled + q.output_offset, q.low, q.high);
    if (q.output_item == 1) {
      ((int8_t *)output)[i] = (int8_t)y;
    } else if (q.output_item == 2) {
      sm_put_int16(output, i, y);
    } else {
      sm_put_int32(output, i, y);
    }
  }
}

#endif
