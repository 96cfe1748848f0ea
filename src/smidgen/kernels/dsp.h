/* The Armv7E-M DSP instructions that kernels use, one function each, written out in C on other
 * machines: the very same kernel runs on a Cortex-M4, M7 or M33 and on the host.
 *
 * A `uint32_t` operand holds two signed 16-bit lanes (low, high) or four bytes, the lowest address
 * first. Sums wrap at 2^32 as the instructions' do (they also set the Q flag; nobody reads it). */
#ifndef SM_DSP_H
#define SM_DSP_H

#include "common.h"

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define SM_HAS_DSP 1
#else
#define SM_HAS_DSP 0
#endif

/* A function even where kernels are shared: each is one instruction. */
#if defined(__GNUC__)
#define SM_DSP static inline __attribute__((always_inline, unused))
#else
#define SM_DSP static inline
#endif

/* Keeps a number in a register as it is: compilers would replace a short loop's counter by pointers
 * to its end, and run out of registers. */
#if SM_HAS_DSP
#define SM_HOLD(x) __asm__("" : "+r"(x))
#else
#define SM_HOLD(x) (void)(x)
#endif

/* -- Memory: any alignment. A compiler makes one load or store of each. -------------------------*/

SM_DSP uint32_t sm_load32(const void *at) {
  uint32_t word;
#if defined(__GNUC__)
  __builtin_memcpy(&word, at, 4);
#else
  memcpy(&word, at, 4);
#endif
  return word;
}

/* Two bytes as the low half of a word, the high half zero. */
SM_DSP uint32_t sm_load16(const void *at) {
  uint16_t half;
#if defined(__GNUC__)
  __builtin_memcpy(&half, at, 2);
#else
  memcpy(&half, at, 2);
#endif
  return half;
}

SM_DSP void sm_store32(void *at, uint32_t word) {
#if defined(__GNUC__)
  __builtin_memcpy(at, &word, 4);
#else
  memcpy(at, &word, 4);
#endif
}

/* The low half of a word. */
SM_DSP void sm_store16(void *at, uint32_t word) {
  const uint16_t half = (uint16_t)word;
#if defined(__GNUC__)
  __builtin_memcpy(at, &half, 2);
#else
  memcpy(at, &half, 2);
#endif
}

/* -- Plain C. ---------------------------------------------------------------------------------*/

/* x + y, x - y and x * 2^n modulo 2^32. */
SM_DSP int32_t sm_wrap_add(int32_t x, int32_t y) { return (int32_t)((uint32_t)x + (uint32_t)y); }
SM_DSP int32_t sm_wrap_sub(int32_t x, int32_t y) { return (int32_t)((uint32_t)x - (uint32_t)y); }
SM_DSP int32_t sm_wrap_shl(int32_t x, int32_t n) { return (int32_t)((uint32_t)x << n); }

/* The low and the high lane, sign-extended. */
SM_DSP int32_t sm_low16(uint32_t x) { return (int16_t)(uint16_t)(x & 0xffffu); }
SM_DSP int32_t sm_high16(uint32_t x) { return (int16_t)(uint16_t)(x >> 16); }

/* Two lanes from the low halves of two numbers. */
SM_DSP uint32_t sm_pack16(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffffu) | ((uint32_t)high << 16);
}

#if SM_HAS_DSP
#define SM_DSP_2(name, type, text, x_type, y_type)                                                 \
  SM_DSP type name(x_type x, y_type y) {                                                           \
    type result;                                                                                   \
    __asm__(text : "=r"(result) : "r"(x), "r"(y));                                                 \
    return result;                                                                                 \
  }
#define SM_DSP_3(name, text, x_type, y_type)                                                       \
  SM_DSP int32_t name(x_type x, y_type y, int32_t sum) {                                           \
    int32_t result;                                                                                \
    __asm__(text : "=r"(result) : "r"(x), "r"(y), "r"(sum));                                       \
    return result;                                                                                 \
  }
#define SM_DSP_IN_C(expression)
#else
#define SM_DSP_2(name, type, text, x_type, y_type) SM_DSP type name(x_type x, y_type y)
#define SM_DSP_3(name, text, x_type, y_type) SM_DSP int32_t name(x_type x, y_type y, int32_t sum)
#define SM_DSP_IN_C(expression)                                                                    \
  {                                                                                                \
    return (expression);                                                                           \
  }
#endif

/* -- Multiply and accumulate lanes. ------------------------------------------------------------*/

/* sum + low * low + high * high */
SM_DSP_3(sm_smlad, "smlad %0, %1, %2, %3", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, sm_wrap_add(sm_low16(x) * sm_low16(y), sm_high16(x) * sm_high16(y))))
/* sum + low * high + high * low */
SM_DSP_3(sm_smladx, "smladx %0, %1, %2, %3", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, sm_wrap_add(sm_low16(x) * sm_high16(y), sm_high16(x) * sm_low16(y))))
/* sum + x's half * y's half: b is the low one, t the high one. */
SM_DSP_3(sm_smlabb, "smlabb %0, %1, %2, %3", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, sm_low16(x) * sm_low16(y)))
SM_DSP_3(sm_smlabt, "smlabt %0, %1, %2, %3", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, sm_low16(x) * sm_high16(y)))
SM_DSP_3(sm_smlatb, "smlatb %0, %1, %2, %3", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, sm_high16(x) * sm_low16(y)))
SM_DSP_3(sm_smlatt, "smlatt %0, %1, %2, %3", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, sm_high16(x) * sm_high16(y)))

/* low * low + high * high */
SM_DSP_2(sm_smuad, int32_t, "smuad %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sm_low16(x) * sm_low16(y), sm_high16(x) * sm_high16(y)))
/* low * high + high * low */
SM_DSP_2(sm_smuadx, int32_t, "smuadx %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sm_low16(x) * sm_high16(y), sm_high16(x) * sm_low16(y)))
SM_DSP_2(sm_smulbb, int32_t, "smulbb %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_low16(x) * sm_low16(y))
SM_DSP_2(sm_smulbt, int32_t, "smulbt %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_low16(x) * sm_high16(y))
SM_DSP_2(sm_smultb, int32_t, "smultb %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_high16(x) * sm_low16(y))
SM_DSP_2(sm_smultt, int32_t, "smultt %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_high16(x) * sm_high16(y))

/* sum + ((x * y's half) >> 16), the product of 48 bits shifted before it is cut to 32. */
SM_DSP_3(sm_smlawb, "smlawb %0, %1, %2, %3", int32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, (int32_t)((int64_t)x * sm_low16(y) >> 16)))
SM_DSP_3(sm_smlawt, "smlawt %0, %1, %2, %3", int32_t, uint32_t)
SM_DSP_IN_C(sm_wrap_add(sum, (int32_t)((int64_t)x * sm_high16(y) >> 16)))
SM_DSP_2(sm_smulwb, int32_t, "smulwb %0, %1, %2", int32_t, uint32_t)
SM_DSP_IN_C((int32_t)((int64_t)x * sm_low16(y) >> 16))
SM_DSP_2(sm_smulwt, int32_t, "smulwt %0, %1, %2", int32_t, uint32_t)
SM_DSP_IN_C((int32_t)((int64_t)x * sm_high16(y) >> 16))

/* -- The high word of a 64-bit product. --------------------------------------------------------*/

/* (x * y) >> 32 */
SM_DSP_2(sm_smmul, int32_t, "smmul %0, %1, %2", int32_t, int32_t)
SM_DSP_IN_C((int32_t)((int64_t)x * y >> 32))
/* (x * y + 2^31) >> 32 */
SM_DSP_2(sm_smmulr, int32_t, "smmulr %0, %1, %2", int32_t, int32_t)
SM_DSP_IN_C((int32_t)(((int64_t)x * y + ((int64_t)1 << 31)) >> 32))
/* sum + ((x * y) >> 32) */
SM_DSP_3(sm_smmla, "smmla %0, %1, %2, %3", int32_t, int32_t)
SM_DSP_IN_C(sm_wrap_add(sum, (int32_t)((int64_t)x * y >> 32)))
/* sum + ((x * y + 2^31) >> 32) */
SM_DSP_3(sm_smmlar, "smmlar %0, %1, %2, %3", int32_t, int32_t)
SM_DSP_IN_C(sm_wrap_add(sum, (int32_t)(((int64_t)x * y + ((int64_t)1 << 31)) >> 32)))

/* -- Bytes to lanes. ---------------------------------------------------------------------------*/

/* Bytes 0 and 2, sign-extended to lanes. */
SM_DSP uint32_t sm_sxtb16(uint32_t x) {
#if SM_HAS_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return sm_pack16((int8_t)(uint8_t)x, (int8_t)(uint8_t)(x >> 16));
#endif
}

/* Bytes 1 and 3, sign-extended to lanes. */
SM_DSP uint32_t sm_sxtb16_ror8(uint32_t x) {
#if SM_HAS_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
  return result;
#else
  return sm_pack16((int8_t)(uint8_t)(x >> 8), (int8_t)(uint8_t)(x >> 24));
#endif
}

/* Bytes 0 and 2 of y, sign-extended and added to x lane by lane; each lane wraps. */
SM_DSP_2(sm_sxtab16, uint32_t, "sxtab16 %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_pack16(sm_low16(x) + (int8_t)(uint8_t)y, sm_high16(x) + (int8_t)(uint8_t)(y >> 16)))
/* Bytes 1 and 3 of y likewise. */
SM_DSP_2(sm_sxtab16_ror8, uint32_t, "sxtab16 %0, %1, %2, ror #8", uint32_t, uint32_t)
SM_DSP_IN_C(sm_pack16(sm_low16(x) + (int8_t)(uint8_t)(y >> 8),
                      sm_high16(x) + (int8_t)(uint8_t)(y >> 24)))

/* Lane by lane; each lane wraps. */
SM_DSP_2(sm_sadd16, uint32_t, "sadd16 %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_pack16(sm_low16(x) + sm_low16(y), sm_high16(x) + sm_high16(y)))
SM_DSP_2(sm_ssub16, uint32_t, "ssub16 %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C(sm_pack16(sm_low16(x) - sm_low16(y), sm_high16(x) - sm_high16(y)))

/* -- The larger and the smaller of bytes, four at a time, signed. ------------------------------*/

#if SM_HAS_DSP
#define SM_DSP_PICK(name, operands)                                                                \
  SM_DSP uint32_t name(uint32_t x, uint32_t y) {                                                   \
    uint32_t result;                                                                               \
    __asm__("ssub8 %0, %1, %2\n\tsel %0, " operands : "=&r"(result) : "r"(x), "r"(y) : "cc");      \
    return result;                                                                                 \
  }
SM_DSP_PICK(sm_max8, "%1, %2")
SM_DSP_PICK(sm_min8, "%2, %1")
#undef SM_DSP_PICK
#else
/* 0xff in every byte where x's is less than y's. */
SM_DSP uint32_t sm_less8(uint32_t x, uint32_t y) {
  uint32_t mask = 0;
  for (int32_t i = 0; i < 32; i += 8) {
    mask |= (int8_t)(uint8_t)(x >> i) < (int8_t)(uint8_t)(y >> i) ? 0xffu << i : 0u;
  }
  return mask;
}
SM_DSP uint32_t sm_max8(uint32_t x, uint32_t y) {
  const uint32_t less = sm_less8(x, y);
  return (x & ~less) | (y & less);
}
SM_DSP uint32_t sm_min8(uint32_t x, uint32_t y) {
  const uint32_t less = sm_less8(x, y);
  return (y & ~less) | (x & less);
}
#endif

/* The same byte four times. */
SM_DSP uint32_t sm_four8(int32_t x) { return (uint32_t)(uint8_t)x * 0x01010101u; }

/* -- Put halves together. ----------------------------------------------------------------------*/

/* Low half of x, high half of y. */
SM_DSP_2(sm_pkhbt, uint32_t, "pkhbt %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C((x & 0xffffu) | (y & 0xffff0000u))
/* The low halves: x's below y's. */
SM_DSP_2(sm_pkhbt_lsl16, uint32_t, "pkhbt %0, %1, %2, lsl #16", uint32_t, uint32_t)
SM_DSP_IN_C((x & 0xffffu) | (y << 16))
/* The high halves: x's above y's. */
SM_DSP_2(sm_pkhtb_asr16, uint32_t, "pkhtb %0, %1, %2, asr #16", uint32_t, uint32_t)
SM_DSP_IN_C((x & 0xffff0000u) | (y >> 16))
/* High half of x, low half of y. */
SM_DSP_2(sm_pkhtb, uint32_t, "pkhtb %0, %1, %2", uint32_t, uint32_t)
SM_DSP_IN_C((x & 0xffff0000u) | (y & 0xffffu))

/* -- Saturate. ---------------------------------------------------------------------------------*/

/* x limited to int8, -128 to 127. */
SM_DSP int32_t sm_ssat8(int32_t x) {
#if SM_HAS_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return x < -128 ? -128 : (x > 127 ? 127 : x);
#endif
}

/* x limited to 0 to 255. */
SM_DSP int32_t sm_usat8(int32_t x) {
#if SM_HAS_DSP
  int32_t result;
  __asm__("usat %0, #8, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return x < 0 ? 0 : (x > 255 ? 255 : x);
#endif
}

/* x >> shift limited to int8; `shift` is a literal, 1 to 31. */
#if SM_HAS_DSP
#define sm_ssat8_asr(x, shift)                                                                     \
  __extension__({                                                                                  \
    int32_t sm_result_;                                                                            \
    __asm__("ssat %0, #8, %1, asr %2" : "=r"(sm_result_) : "r"(x), "i"(shift));                    \
    sm_result_;                                                                                    \
  })
#else
#define sm_ssat8_asr(x, shift) sm_ssat8((x) >> (shift))
#endif

#undef SM_DSP_2
#undef SM_DSP_3
#undef SM_DSP_IN_C

#endif
