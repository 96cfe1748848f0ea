/* From int32 accumulators to the output's scale, rounded as TensorFlow Lite Micro rounds. */
#ifndef SM_REQUANTIZE_H
#define SM_REQUANTIZE_H

#include <stdint.h>

/* Whether the core multiplies 32 bits by 32 to 64. Where it does not, compilers call a function. */
#ifndef SM_HAS_LONG_MULTIPLY
#if defined(__thumb__) && !defined(__thumb2__)
#define SM_HAS_LONG_MULTIPLY 0
#else
#define SM_HAS_LONG_MULTIPLY 1
#endif
#endif

/* Limits x to [low, high]. */
static inline int32_t sm_clamp(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : (x > high ? high : x);
}

/* The high 32 bits of 2 * a * b, rounded to nearest with ties upwards: a product of Q31 numbers.
 * Only a = b = INT32_MIN does not fit, and multipliers are never negative. */
static inline int32_t sm_high_mul(int32_t a, int32_t b) {
#if SM_HAS_LONG_MULTIPLY
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
#else
  /* Products of halves, of which only the lower ones have no sign; the lowest 16 bits of the
   * product do not matter, and no sum leaves 32 bits. */
  const int32_t a_high = a >> 16, a_low = a & 0xffff;
  const int32_t b_high = b >> 16, b_low = b & 0xffff;
  const int32_t middle = a_high * b_low + (int32_t)(((uint32_t)a_low * (uint32_t)b_low) >> 16);
  const int32_t rest = a_low * b_high + (middle & 0xffff);
  const int32_t high = a_high * b_high + (middle >> 16) + (rest >> 16);
  return 2 * high + (((rest & 0xffff) + 0x4000) >> 15);
#endif
}

/* x / 2^exponent rounded to nearest with ties away from zero; exponent 0 to 31, x > INT32_MIN.
 * A negative x gives up one unit so that its ties go down; the last bit is shifted out on its own
 * so that the half which is added cannot overflow. */
static inline int32_t sm_divide_by_pot(int32_t x, int32_t exponent) {
  if (exponent == 0) {
    return x;
  }
  return (((x + (x >> 31)) >> (exponent - 1)) + 1) >> 1;
}

/* acc * multiplier * 2^(shift - 31).
 * multiplier: 0 to INT32_MAX. shift: -31 to 30; a left shift keeps the low 32 bits of acc. */
static inline int32_t sm_requantize(int32_t acc, int32_t multiplier, int32_t shift) {
  if (shift > 0) {
    return sm_high_mul((int32_t)((uint32_t)acc << shift), multiplier);
  }
  return sm_divide_by_pot(sm_high_mul(acc, multiplier), -shift);
}

#endif
