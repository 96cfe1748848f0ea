/* TRANSPOSE and STRIDED_SLICE, elements of any size: a copy that walks the input in strides. */
#ifndef SM_COPY_BYTES_H
#define SM_COPY_BYTES_H

#include "bytes.h"

/* Four nested loops over the input, everything in bytes; strides may be negative. The output is
 * filled in order, `run` bytes at a time. */
typedef struct {
  int32_t first, run;
  int32_t size0, stride0;
  int32_t size1, stride1;
  int32_t size2, stride2;
  int32_t size3, stride3;
} sm_copy_bytes_params;

/* The innermost loop, where runs are single bytes: returns the end of what it wrote. */
static inline uint8_t *sm_copy_each_byte(const sm_copy_bytes_params *p, const uint8_t *in,
                                         uint8_t *out) {
  const int32_t stride = p->stride3;
  int32_t left = p->size3;
  for (; left >= 4; left -= 4, out += 4) {
    out[0] = *in, in += stride;
    out[1] = *in, in += stride;
    out[2] = *in, in += stride;
    out[3] = *in, in += stride;
  }
  for (; left > 0; --left, in += stride) {
    *out++ = *in;
  }
  return out;
}

/* The same for longer ones. */
static inline uint8_t *sm_copy_each_run(const sm_copy_bytes_params *p, const uint8_t *in,
                                        uint8_t *out) {
  const int32_t stride = p->stride3, run = p->run;
  for (int32_t left = p->size3; left > 0; --left, in += stride, out += run) {
    sm_copy_bytes_down(out, in, run);
  }
  return out;
}

/* The output may lie over the input wherever it never catches up with what is still to be read. */
SM_KERNEL void sm_copy_bytes(const sm_copy_bytes_params *p, const void *input, void *output) {
  uint8_t *out = output;
  const uint8_t *in0 = (const uint8_t *)input + p->first;
  for (int32_t i = 0; i < p->size0; ++i, in0 += p->stride0) {
    const uint8_t *in1 = in0;
    for (int32_t j = 0; j < p->size1; ++j, in1 += p->stride1) {
      const uint8_t *in2 = in1;
      for (int32_t k = 0; k < p->size2; ++k, in2 += p->stride2) {
        out = p->run == 1 ? sm_copy_each_byte(p, in2, out) : sm_copy_each_run(p, in2, out);
      }
    }
  }
}

#endif
