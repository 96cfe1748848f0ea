/* The inner product of fast int8 layers: two columns of inputs times any number of channels.
 *
 * Weights of two channels, b and a, lie in one halfword as 256 * b + a. One SMLAD on a raw word
 * adds 256 * b * x + a * x to S, and after one SXTB16 a second adds a * x to A: the sums of both
 * channels, (S - A) / 256 and A, at one byte a weight. Everything wraps at 2^32 until then. */
#ifndef SM_GEMM_INT8_PAIRED_H
#define SM_GEMM_INT8_PAIRED_H

#include "common.h"
#include "dsp.h"

/* Depth is counted in steps of two values. The columns are interleaved: a word of two int16 values
 * of the first, a word of the second, for each step.
 *
 * The stream holds, for each group of four channels c, d, e, f:
 *   for each step, two words: the halfwords 256 * d + c (first value low), then 256 * f + e;
 *   for each channel, two words: addend and multiplier;
 *   if exact, one word: the channels' shifts less one, a byte each, the first lowest.
 *
 * Sums become outputs in one of two ways. Both saturate to int8.
 *   A line:  ((sum * 256 + addend) * multiplier) >> 44
 *   exact:   x = ((sum * 2 + addend) * multiplier + 2^31) >> 32, rounded half away from zero in
 *            x / 2^shift, plus the zero point; shift 1 to 22.
 * sum * 256 + addend (or sum * 2 + addend) must fit int32; if exact, the sum must fit 24 bits. */
typedef struct {
  const uint32_t *columns; /* pairs of columns, one behind the other */
  const int32_t *stream;
  int32_t steps;      /* at least 1 */
  int32_t groups;     /* at least 1 */
  int32_t pairs;      /* at least 1 */
  int32_t exact;      /* not 0: exact */
  int32_t half_point; /* if exact: 2 * zero_point + 1 */
  int8_t *out;        /* 4 * groups bytes for each column, any alignment */
  int32_t out_stride; /* bytes from one column's outputs to the next's */
} sm_gemm_int8_paired_call;

#if SM_HAS_DSP && defined(__thumb2__)
/* Registers: r0 columns, r1 stream, r2 and r3 weights, r4 and r5 values; of the first pair of
 * channels S and A in r6 and r7 (first column), r8 and r9 (second); of the second pair r10 to r12
 * and lr. Four loads run back to back. The last step moves both pointers: offsets are one word
 * ahead of them. A depth that is no multiple of the unrolled steps starts in their middle. */
#define SM_STEP_BYTES "48"
#define SM_STEP_MACS                                                                               \
  "smlad r6, r2, r4, r6\n\t"                                                                       \
  "smlad r8, r2, r5, r8\n\t"                                                                       \
  "sxtb16 r2, r2\n\t"                                                                              \
  "smlad r10, r3, r4, r10\n\t"                                                                     \
  "smlad r12, r3, r5, r12\n\t"                                                                     \
  "sxtb16 r3, r3\n\t"                                                                              \
  "smlad r7, r2, r4, r7\n\t"                                                                       \
  "smlad r9, r2, r5, r9\n\t"                                                                       \
  "smlad r11, r3, r4, r11\n\t"                                                                     \
  "smlad lr, r3, r5, lr\n\t"
#define SM_STEP_AT(w0, w1)                                                                         \
  "ldr.n r2, [r1, #" w0 "]\n\t"                                                                    \
  "ldr.n r3, [r1, #" w1 "]\n\t"                                                                    \
  "ldr.n r4, [r0, #" w0 "]\n\t"                                                                    \
  "ldr.n r5, [r0, #" w1 "]\n\t" SM_STEP_MACS
#define SM_STEP_LAST(w0, w1)                                                                       \
  "ldr.n r2, [r1, #" w0 "]\n\t"                                                                    \
  "ldr.w r3, [r1, #" w1 "]!\n\t"                                                                   \
  "ldr.n r4, [r0, #" w0 "]\n\t"                                                                    \
  "ldr.w r5, [r0, #" w1 "]!\n\t" SM_STEP_MACS

/* Two sums of a channel, in a and b, to outputs on a line: r2 addend, r3 multiplier. */
#define SM_LINE_LOW(a, b, addend, multiplier)                                                      \
  "add " a ", " addend ", " a ", lsl #8\n\t"                                                       \
  "add " b ", " addend ", " b ", lsl #8\n\t"                                                       \
  "smmul " a ", " a ", " multiplier "\n\t"                                                         \
  "smmul " b ", " b ", " multiplier "\n\t"                                                         \
  "ssat " a ", #8, " a ", asr #12\n\t"                                                             \
  "ssat " b ", #8, " b ", asr #12\n\t"
#define SM_LINE_HIGH(a, b, addend, multiplier)                                                     \
  "add " a ", " addend "\n\t"                                                                      \
  "add " b ", " addend "\n\t"                                                                      \
  "smmul " a ", " a ", " multiplier "\n\t"                                                         \
  "smmul " b ", " b ", " multiplier "\n\t"                                                         \
  "ssat " a ", #8, " a ", asr #12\n\t"                                                             \
  "ssat " b ", #8, " b ", asr #12\n\t"
/* The same exactly: r0 half point, r2 addend, r3 multiplier, r5 shifts. r2 becomes the rounding
 * and the zero point; a negative sum has one unit less to round. */
#define SM_EXACT(a, b, shifted)                                                                    \
  "add " a ", r2, " a ", " shifted "\n\t"                                                          \
  "add " b ", r2, " b ", " shifted "\n\t"                                                          \
  "lsl.w r2, r0, r5\n\t"                                                                           \
  "add r4, r2, " a ", asr #31\n\t"                                                                 \
  "smmlar " a ", " a ", r3, r4\n\t"                                                                \
  "add r4, r2, " b ", asr #31\n\t"                                                                 \
  "smmlar " b ", " b ", r3, r4\n\t"                                                                \
  "asr.w " a ", " a ", r5\n\t"                                                                     \
  "asr.w " b ", " b ", r5\n\t"                                                                     \
  "ssat " a ", #8, " a ", asr #1\n\t"                                                              \
  "ssat " b ", #8, " b ", asr #1\n\t"

/* Columns of assembly, which would be folded. */
/* clang-format off */
/* Aligned: `adr` counts from a multiple of four, and functions may start between two at -Os. */
static SM_PART __attribute__((aligned(4))) void sm_gemm_int8_paired(const sm_gemm_int8_paired_call *call) {
  const sm_gemm_int8_paired_call *at = call;
  __asm__ volatile(
      "push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */
      "ldm %[at], {r0-r8}\n\t"
      /* Frame: 0 the pair's columns, 4 their end (less one if exact), 8 from one group to the
       * next, 12 the first step, 16 outputs of the group, 20 stride, 24 end of the stream, 28
       * stream, 32 half point, 36 pairs left, 40 outputs of the pair, 44 bytes of a pair of columns. */
      "sub sp, #48\n\t"
      "str r4, [sp, #36]\n\t"
      "strd r7, r8, [sp, #16]\n\t"
      "str r7, [sp, #40]\n\t"
      "str r6, [sp, #32]\n\t"
      "lsls r7, r2, #3\n\t"
      "str r7, [sp, #44]\n\t" /* bytes of a pair of columns */
      "adds r4, r0, r7\n\t"
      "subs r4, #4\n\t"
      "adds r7, #32\n\t"
      "cbz r5, 0f\n\t"
      "subs r4, #1\n\t"
      "adds r7, #4\n\t"
      "0:\n\t"
      "str r4, [sp, #4]\n\t"
      "mla r3, r3, r7, r1\n\t" /* end of the stream */
      "rsbs r4, r2, #0\n\t"
      "and r4, r4, #15\n\t" /* steps to skip the first time */
      "adr.w r5, 2f\n\t"
      "movs r6, #" SM_STEP_BYTES "\n\t"
      "mla r5, r4, r6, r5\n\t"
      "orr r5, r5, #1\n\t"
      "str r5, [sp, #12]\n\t"
      "lsls r4, r4, #3\n\t"
      "adds r4, #4\n\t"
      "subs r0, r0, r4\n\t"
      "str r0, [sp, #0]\n\t"
      "subs r1, r1, r4\n\t"
      "str r1, [sp, #28]\n\t"
      "subs r3, r3, r4\n\t"
      "str r3, [sp, #24]\n\t"
      "rsb r4, r4, #36\n\t"
      "str r4, [sp, #8]\n\t"
      "1:\n\t" /* a group of four channels */
      "ldr r0, [sp, #0]\n\t"
      "ldr r2, [sp, #12]\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "mov r8, r6\n\t"
      "mov r9, r6\n\t"
      "mov r10, r6\n\t"
      "mov r11, r6\n\t"
      "mov r12, r6\n\t"
      "mov lr, r6\n\t"
      "bx r2\n\t"
      "2:\n\t" /* sixteen steps */
      SM_STEP_AT("4", "8")
      SM_STEP_AT("12", "16")
      SM_STEP_AT("20", "24")
      SM_STEP_AT("28", "32")
      SM_STEP_AT("36", "40")
      SM_STEP_AT("44", "48")
      SM_STEP_AT("52", "56")
      SM_STEP_AT("60", "64")
      SM_STEP_AT("68", "72")
      SM_STEP_AT("76", "80")
      SM_STEP_AT("84", "88")
      SM_STEP_AT("92", "96")
      SM_STEP_AT("100", "104")
      SM_STEP_AT("108", "112")
      SM_STEP_AT("116", "120")
      SM_STEP_LAST("124", "128")
      "ldr r2, [sp, #4]\n\t"
      "cmp r0, r2\n\t"
      "blo.w 2b\n\t"
      "sub r6, r6, r7\n\t" /* 256 times the sum of the pair's second channel */
      "sub r8, r8, r9\n\t"
      "sub r10, r10, r11\n\t"
      "sub r12, r12, lr\n\t"
      "bne.w 4f\n\t"
      "ldr r2, [r1, #4]\n\t"
      "ldr r3, [r1, #8]\n\t"
      "ldr r4, [r1, #12]\n\t"
      "ldr r5, [r1, #16]\n\t"
      SM_LINE_LOW("r7", "r9", "r2", "r3")
      SM_LINE_HIGH("r6", "r8", "r4", "r5")
      "ldr r2, [r1, #20]\n\t"
      "ldr r3, [r1, #24]\n\t"
      "ldr r4, [r1, #28]\n\t"
      "ldr r5, [r1, #32]\n\t"
      SM_LINE_LOW("r11", "lr", "r2", "r3")
      SM_LINE_HIGH("r10", "r12", "r4", "r5")
      "3:\n\t" /* store four outputs for each column */
      "bfi r7, r6, #8, #8\n\t"
      "bfi r9, r8, #8, #8\n\t"
      "bfi r11, r10, #8, #8\n\t"
      "bfi lr, r12, #8, #8\n\t"
      "pkhbt r7, r7, r11, lsl #16\n\t"
      "pkhbt r9, r9, lr, lsl #16\n\t"
      "ldr r4, [sp, #8]\n\t"
      "ldr r5, [sp, #24]\n\t"
      "ldr r2, [sp, #16]\n\t"
      "ldr r3, [sp, #20]\n\t"
      "str r9, [r2, r3]\n\t"
      "str r7, [r2], #4\n\t"
      "str r2, [sp, #16]\n\t"
      "add r1, r4\n\t"
      "cmp r1, r5\n\t"
      "bne.w 1b\n\t"
      "ldr r4, [sp, #36]\n\t" /* the next pair of columns */
      "ldr r2, [sp, #40]\n\t"
      "ldr r0, [sp, #0]\n\t"
      "ldr r5, [sp, #4]\n\t"
      "ldr r1, [sp, #28]\n\t"
      "subs r4, #1\n\t"
      "beq 5f\n\t"
      "str r4, [sp, #36]\n\t"
      "add r2, r2, r3, lsl #1\n\t"
      "str r2, [sp, #40]\n\t"
      "str r2, [sp, #16]\n\t"
      "ldr r4, [sp, #44]\n\t"
      "add r0, r4\n\t"
      "str r0, [sp, #0]\n\t"
      "add r5, r4\n\t"
      "str r5, [sp, #4]\n\t"
      "b.w 1b\n\t"
      "4:\n\t"
      "ldr r0, [sp, #32]\n\t"
      "ldr r5, [r1, #36]\n\t"
      "ldr r2, [r1, #4]\n\t"
      "ldr r3, [r1, #8]\n\t"
      SM_EXACT("r7", "r9", "lsl #1")
      "ldr r2, [r1, #12]\n\t"
      "ldr r3, [r1, #16]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT("r6", "r8", "asr #7")
      "ldr r2, [r1, #20]\n\t"
      "ldr r3, [r1, #24]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT("r11", "lr", "lsl #1")
      "ldr r2, [r1, #28]\n\t"
      "ldr r3, [r1, #32]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT("r10", "r12", "asr #7")
      "adds r1, #4\n\t"
      "b 3b\n\t"
      "5:\n\t"
      "add sp, #48\n\t"
      "pop {r7, r11}"
      : [at] "+r"(at)
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}
/* clang-format on */
#undef SM_STEP_BYTES
#undef SM_STEP_MACS
#undef SM_STEP_AT
#undef SM_STEP_LAST
#undef SM_LINE_LOW
#undef SM_LINE_HIGH
#undef SM_EXACT

#else
/* One sum, doubled where exact, to its output. */
static inline int8_t sm_gemm_output(const sm_gemm_int8_paired_call *call, int32_t sum,
                                    const int32_t *factor, int32_t shift) {
  if (!call->exact) {
    const int32_t scaled = sm_wrap_add(sm_wrap_shl(sum, 8), factor[0]);
    return (int8_t)sm_ssat8(sm_smmul(scaled, factor[1]) >> 12);
  }
  const int32_t doubled = sm_wrap_add(sm_wrap_shl(sum, 1), factor[0]);
  const int32_t rounding = sm_wrap_shl(call->half_point, shift) + (doubled >> 31);
  return (int8_t)sm_ssat8(sm_smmlar(doubled, factor[1], rounding) >> shift >> 1);
}

static inline void sm_gemm_int8_paired(const sm_gemm_int8_paired_call *call) {
  for (int32_t column = 0; column < 2 * call->pairs; ++column) {
    const uint32_t *values = call->columns + column / 2 * 2 * call->steps + column % 2;
    const int32_t *stream = call->stream;
    int8_t *out = call->out + column * call->out_stride;
    for (int32_t group = 0; group < call->groups; ++group) {
      const int32_t *factors = stream + 2 * call->steps;
      const uint32_t shifts = call->exact ? (uint32_t)factors[8] : 0;
      for (int32_t pair = 0; pair < 2; ++pair, factors += 4, out += 2) {
        int32_t both = 0, low = 0;
        for (int32_t i = 0; i < call->steps; ++i) {
          const uint32_t weights = (uint32_t)stream[2 * i + pair];
          both = sm_smlad(weights, values[2 * i], both);
          low = sm_smlad(sm_sxtb16(weights), values[2 * i], low);
        }
        const int32_t high = sm_wrap_sub(both, low) >> 8;
        const uint32_t shift = shifts >> 16 * pair;
        out[0] = sm_gemm_output(call, low, factors, (int32_t)(shift & 255u));
        out[1] = sm_gemm_output(call, high, factors + 2, (int32_t)(shift >> 8 & 255u));
      }
      stream = factors + (call->exact ? 1 : 0);
    }
  }
}
#endif

#endif
