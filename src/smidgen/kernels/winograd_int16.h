/* The inner products of Winograd convolutions: pairs of tiles times any number of channels. */
#ifndef SM_WINOGRAD_INT16_H
#define SM_WINOGRAD_INT16_H

#include "common.h"
#include "dsp.h"

#define SM_WINOGRAD_POSITIONS 16 /* of a transformed tile, 4 x 4 */

/* All positions of two tiles, for four channels. Depth is counted in steps of two int16 values.
 * values: for each step, for each position, a word of the first tile and a word of the second.
 * weights: for each position, for each step, a word of each channel.
 * Behind the values, at `sums`: for each channel, for each position, the sum of the first tile and
 * that of the second, modulo 2^32. */
typedef struct {
  const uint32_t *values;
  const int32_t *weights;
  int32_t *sums; /* 128 * steps bytes behind values */
  int32_t steps; /* a multiple of eight */
} sm_winograd_call;

#if SM_HAS_DSP && defined(__thumb2__)
/* Registers: r0 values, r1 weights, r2 to r5 operands, r6 to r12 and lr the sums. */
#define SM_LOADS(x0, x1, w0, w1)                                                                   \
  "ldr.w r4, [r0, #" x0 "]\n\t"                                                                    \
  "ldr.w r5, [r0, #" x1 "]\n\t"                                                                    \
  "ldr.n r2, [r1, #" w0 "]\n\t"                                                                    \
  "ldr.n r3, [r1, #" w1 "]\n\t"
#define SM_LOADS_2(w2, w3)                                                                         \
  "ldr.n r2, [r1, #" w2 "]\n\t"                                                                    \
  "ldr.n r3, [r1, #" w3 "]\n\t"
#define SM_FIRST(x0, x1, w0, w1, w2, w3)                                                           \
  SM_LOADS(x0, x1, w0, w1)                                                                         \
  "smuad r6, r2, r4\n\t"                                                                           \
  "smuad r7, r2, r5\n\t"                                                                           \
  "smuad r8, r3, r4\n\t"                                                                           \
  "smuad r9, r3, r5\n\t" SM_LOADS_2(w2, w3) "smuad r10, r2, r4\n\t"                                \
                                            "smuad r11, r2, r5\n\t"                                \
                                            "smuad r12, r3, r4\n\t"                                \
                                            "smuad lr, r3, r5\n\t"
#define SM_NEXT(x0, x1, w0, w1, w2, w3)                                                            \
  SM_LOADS(x0, x1, w0, w1)                                                                         \
  "smlad r6, r2, r4, r6\n\t"                                                                       \
  "smlad r7, r2, r5, r7\n\t"                                                                       \
  "smlad r8, r3, r4, r8\n\t"                                                                       \
  "smlad r9, r3, r5, r9\n\t" SM_LOADS_2(w2, w3) "smlad r10, r2, r4, r10\n\t"                       \
                                                "smlad r11, r2, r5, r11\n\t"                       \
                                                "smlad r12, r3, r4, r12\n\t"                       \
                                                "smlad lr, r3, r5, lr\n\t"
#define SM_SEVEN                                                                                   \
  SM_NEXT("128", "132", "16", "20", "24", "28")                                                    \
  SM_NEXT("256", "260", "32", "36", "40", "44")                                                    \
  SM_NEXT("384", "388", "48", "52", "56", "60")                                                    \
  SM_NEXT("512", "516", "64", "68", "72", "76")                                                    \
  SM_NEXT("640", "644", "80", "84", "88", "92")                                                    \
  SM_NEXT("768", "772", "96", "100", "104", "108")                                                 \
  SM_NEXT("896", "900", "112", "116", "120", "124")
#define SM_SUMS_AT(a, b, c, d, e, f, g, h)                                                         \
  "str r6, [r0, #" a "]\n\t"                                                                       \
  "str r7, [r0, #" b "]\n\t"                                                                       \
  "str r8, [r0, #" c "]\n\t"                                                                       \
  "str r9, [r0, #" d "]\n\t"                                                                       \
  "str r10, [r0, #" e "]\n\t"                                                                      \
  "str r11, [r0, #" f "]\n\t"                                                                      \
  "str r12, [r0, #" g "]\n\t"                                                                      \
  "str lr, [r0, #" h "]\n\t"
#define SM_CHECK                                                                                   \
  "add.w r0, r0, #1024\n\t"                                                                        \
  "adds r1, #128\n\t"                                                                              \
  "ldr r2, [sp, #0]\n\t"                                                                           \
  "cmp r0, r2\n\t"

/* Columns of assembly, which would be folded. */
/* clang-format off */
static SM_PART void sm_winograd_products(const sm_winograd_call *call) {
  const sm_winograd_call *at = call;
  __asm__ volatile(
      "push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */
      "ldm %[at], {r0-r3}\n\t"
      /* Frame: 0 sums of the position, where its values end, 4 from there to the next values, 8 end
       * of the sums. */
      "sub sp, #16\n\t"
      "cmp r3, #8\n\t"
      "bne.w 0f\n\t"
      "add.w r2, r0, #128\n\t" /* eight steps: all offsets are known */
      "str r2, [sp, #0]\n\t"
      "5:\n\t"
      SM_FIRST("0", "4", "0", "4", "8", "12")
      SM_SEVEN
      "ldr r2, [sp, #0]\n\t"
      "adds r1, #128\n\t"
      SM_SUMS_AT("1024", "1028", "1152", "1156", "1280", "1284", "1408", "1412")
      "adds r0, #8\n\t"
      "cmp r0, r2\n\t"
      "bne.w 5b\n\t"
      "b.w 4f\n\t"
      "0:\n\t"
      "lsls r3, r3, #7\n\t"
      "subs r3, #8\n\t"
      "strd r2, r3, [sp]\n\t"
      "adds r2, #128\n\t"
      "str r2, [sp, #8]\n\t"
      "1:\n\t"
      SM_FIRST("0", "4", "0", "4", "8", "12")
      SM_SEVEN
      SM_CHECK
      "bne.w 3f\n\t"
      "2:\n\t" /* the position is done */
      "ldr r3, [sp, #4]\n\t"
      "ldr r4, [sp, #8]\n\t"
      SM_SUMS_AT("0", "4", "128", "132", "256", "260", "384", "388")
      "subs r0, r0, r3\n\t"
      "adds r2, #8\n\t"
      "str r2, [sp, #0]\n\t"
      "cmp r2, r4\n\t"
      "bne.w 1b\n\t"
      "b.w 4f\n\t"
      "3:\n\t"
      SM_NEXT("0", "4", "0", "4", "8", "12")
      SM_SEVEN
      SM_CHECK
      "bne.w 3b\n\t"
      "b.w 2b\n\t"
      "4:\n\t"
      "add sp, #16\n\t"
      "pop {r7, r11}"
      : [at] "+r"(at)
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}
/* clang-format on */
#undef SM_LOADS
#undef SM_LOADS_2
#undef SM_FIRST
#undef SM_NEXT
#undef SM_SEVEN
#undef SM_SUMS_AT
#undef SM_CHECK

#else
static inline void sm_winograd_products(const sm_winograd_call *call) {
  const int32_t *weights = call->weights;
  for (int32_t position = 0; position < SM_WINOGRAD_POSITIONS; ++position) {
    for (int32_t i = 0; i < 8; ++i) {
      const uint32_t *values = call->values + 2 * position + i % 2;
      int32_t sum = 0;
      for (int32_t step = 0; step < call->steps; ++step) {
        sum = sm_smlad((uint32_t)weights[4 * step + i / 2], values[32 * step], sum);
      }
      call->sums[i / 2 * 32 + 2 * position + i % 2] = sum;
    }
    weights += 4 * call->steps;
  }
}
#endif

#endif
