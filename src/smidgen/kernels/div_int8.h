/* DIV, int8: the quotient of two operands that broadcast. */
#ifndef SM_DIV_INT8_H
#define SM_DIV_INT8_H

#include "fixed_point.h"
#include "pair.h"
#include "requantize.h"

/* A loop of four dimensions over the output; a stride of 0 broadcasts that operand.
 * Offsets are minus the zero points, -127 to 128. The shift is 7 to 23. */
typedef struct {
  int32_t size0, stride_a0, stride_b0;
  int32_t size1, stride_a1, stride_b1;
  int32_t size2, stride_a2, stride_b2;
  int32_t size3, stride_a3, stride_b3;
  int32_t a_offset, b_offset, output_offset;
  int32_t multiplier, shift;
  int32_t act_min, act_max;
} sm_div_int8_params;

/* The place of the highest bit that is set, counted from 1; 0 for none. */
static inline int32_t sm_bit_length(uint32_t x) {
  int32_t bits = 0;
  for (; x != 0; x >>= 1) {
    ++bits;
  }
  return bits;
}

/* By 0 it is beyond every limit, 0 / 0 is 0. */
static inline int32_t sm_quotient_int8(const sm_div_int8_params *p, int32_t a, int32_t b) {
  if (b == 0) {
    return a == 0 ? 0 : (a < 0 ? -512 : 512);
  }
  if (b < 0) {
    a = -a;
    b = -b;
  }
  /* b = 2^(bits - 1) (1 + fraction), with the fraction in Q0.31. */
  const int32_t bits = sm_bit_length((uint32_t)b);
  const uint32_t normal = (uint32_t)b << (32 - bits);
  const int32_t inverse = sm_one_over_one_plus_x((int32_t)(normal - 0x80000000u));
  const int32_t headroom = 31 - sm_bit_length((uint32_t)(a < 0 ? -a - 1 : a));
  const int32_t quotient = sm_high_mul((int32_t)((uint32_t)a << headroom), inverse);
  const int32_t down = headroom + bits - 1 - p->shift;
  return sm_divide_by_pot(sm_high_mul(quotient, p->multiplier), down > 31 ? 31 : down);
}

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_div_int8(const sm_div_int8_params *p, const int8_t *a, const int8_t *b,
                           int8_t *output) {
  SM_EACH_PAIR(
      p, int8_t, a, b, output,
      (int8_t)sm_clamp(sm_quotient_int8(p, x + p->a_offset, y + p->b_offset) + p->output_offset,
                       p->act_min, p->act_max));
}

#endif
