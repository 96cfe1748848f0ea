/* LOG_SOFTMAX over the last axis, int8. */
#ifndef SM_LOG_SOFTMAX_INT8_H
#define SM_LOG_SOFTMAX_INT8_H

#include "fixed_point.h"
#include "requantize.h"

/* multiplier and shift lead from steps of the input to Q5.26, the others back. table: e^-d in
 * Q12.19 for differences d from 0 on; larger ones do not count. least: the least difference that
 * may be above the least output. */
typedef struct {
  int32_t rows, depth;
  int32_t multiplier, shift;
  int32_t reverse_multiplier, reverse_shift;
  int32_t least;
  int32_t table_size;
  const int32_t *table;
} sm_log_softmax_int8_params;

/* The place of the highest bit that is set, counted from 1. */
static inline int32_t sm_highest_bit(uint32_t x) {
  int32_t place = 0;
  for (; x != 0; x >>= 1) {
    ++place;
  }
  return place;
}

static inline int32_t sm_twice_limited(int32_t x) {
  return x >= (int32_t)1 << 30 ? INT32_MAX : (x < -((int32_t)1 << 30) ? INT32_MIN : x * 2);
}

/* ln of a number in Q12.19 from 1 on, in Q5.26. It is r 2^n in one of two ways; of r the logarithm
 * is a quotient of polynomials around the fourth root of 1/2. */
static inline int32_t sm_log_of_sum(int32_t x) {
  const int32_t quarter = (int32_t)1 << 23; /* 1/4 in Q6.25 */
  const int32_t up = 32 - sm_highest_bit((uint32_t)x);
  const int32_t high = (int32_t)((uint32_t)x << (up - 1));
  const int32_t first = sm_twice_limited(sm_high_mul(high, 1518500250));
  const int32_t first_power = (12 - up) * ((int32_t)1 << 25) + quarter;
  const int32_t room = 31 - sm_highest_bit((uint32_t)sm_high_mul(x, 1518500250));
  const int64_t wide = (int64_t)x << room;
  const int32_t second = wide > INT32_MAX ? INT32_MAX : (int32_t)wide;
  const int32_t second_power = (12 - room) * ((int32_t)1 << 25) - quarter;
  const int32_t r = first < second ? first : second;
  const int32_t power = first_power > second_power ? first_power : second_power;

  const int32_t center = 1805811301;
  const int32_t p = (int32_t)(((int64_t)r + center + 1) / 2);
  const int32_t q = (r - center) * 2;
  const int32_t square = sm_high_mul(q, q);
  const int32_t numerator = sm_high_mul(q, r) + sm_high_mul(sm_high_mul(q, square), 117049297);
  const int32_t inner = 1057819769 + q + sm_high_mul(127690142, square);
  const int32_t denominator = sm_high_mul(p, inner) + sm_high_mul(638450708, q);
  const int32_t quotient =
      sm_high_mul(sm_divide_by_pot(numerator, 6), sm_one_over_one_plus_x(denominator));
  return sm_twice_limited(sm_high_mul(power, 1488522236) + quotient);
}

/* May compute in place. */
SM_KERNEL void sm_log_softmax_int8(const sm_log_softmax_int8_params *p, const int8_t *input,
                                   int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    int32_t max = -128;
    for (int32_t c = 0; c < p->depth; ++c) {
      max = input[c] > max ? input[c] : max;
    }
    int32_t sum = 0;
    for (int32_t c = 0; c < p->depth; ++c) {
      sum += max - input[c] < p->table_size ? p->table[max - input[c]] : 0;
    }
    const int32_t log_sum = sm_log_of_sum(sum);
    const int32_t back =
        sm_requantize(log_sum + INT32_MIN, p->reverse_multiplier, p->reverse_shift);
    const int32_t last = back > p->least - 1 ? back : p->least - 1;
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t below = input[c] - max;
      int32_t answer = -128;
      if (below > last) {
        const int32_t real = sm_requantize(below, p->multiplier, p->shift) - log_sum;
        answer = sm_clamp(sm_divide_by_pot(real, 22) + 127, -128, 127);
      }
      output[c] = (int8_t)answer;
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
