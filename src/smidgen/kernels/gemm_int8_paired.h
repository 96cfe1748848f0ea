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
 *   two words, the addends of d and f for lines, of c and e if exact;
 *   for each step, two words: the halfwords 256 * d + c (first value low), then 256 * f + e;
 *   for lines, six words: addend and multiplier of c, multiplier of d, the same of e and f;
 *   if exact, seven: multiplier of c, addend and multiplier of d, the same of e and f, then the
 *   channels' shifts less one, a byte each, the first lowest.
 * S starts with the first words; if exact, A does too, so that they do not change their difference.
 *
 * Sums become outputs in one of two ways. Both saturate to int8.
 *   A line:  ((sum * 256 + addend) * multiplier) >> 44
 *   exact:   x = ((sum + addend) * 2 * multiplier + 2^31) >> 32, rounded half away from zero in
 *            x / 2^shift, plus the zero point; shift 1 to 22.
 * sum * 256 + addend (or twice sum + addend) must fit int32; if exact, the sum must fit 24 bits. */
typedef struct {
  const uint32_t *columns; /* pairs of columns */
  const int32_t *stream;
  int32_t steps;      /* at least 1 */
  int32_t groups;     /* at least 1 */
  int32_t pairs;      /* at least 1 */
  int32_t exact;      /* 1: exact, 0: lines */
  int32_t half_point; /* if exact: 2 * zero_point + 1 */
  int8_t *out;        /* 4 * groups bytes for each column, any alignment */
  int32_t
      out_stride; /* bytes from one column's outputs to the next's; 0: the last one's are lost */
  int32_t pair_bytes; /* from one pair of columns to the next */
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

#define SM_STEPS_7                                                                                 \
  SM_STEP_AT("4", "8")                                                                             \
  SM_STEP_AT("12", "16")                                                                           \
  SM_STEP_AT("20", "24")                                                                           \
  SM_STEP_AT("28", "32")                                                                           \
  SM_STEP_AT("36", "40")                                                                           \
  SM_STEP_AT("44", "48")                                                                           \
  SM_STEP_AT("52", "56")
#define SM_STEPS_16                                                                                \
  SM_STEPS_7                                                                                       \
  SM_STEP_AT("60", "64")                                                                           \
  SM_STEP_AT("68", "72")                                                                           \
  SM_STEP_AT("76", "80")                                                                           \
  SM_STEP_AT("84", "88")                                                                           \
  SM_STEP_AT("92", "96")                                                                           \
  SM_STEP_AT("100", "104")                                                                         \
  SM_STEP_AT("108", "112")                                                                         \
  SM_STEP_AT("116", "120")                                                                         \
  SM_STEP_LAST("124", "128")
#if SM_UNROLL > 4
#define SM_STEPS SM_STEPS_16 SM_STEPS_16
#define SM_STEPS_LESS_1 "31"
#elif SM_UNROLL > 2
#define SM_STEPS SM_STEPS_16
#define SM_STEPS_LESS_1 "15"
#else
#define SM_STEPS SM_STEPS_7 SM_STEP_LAST("60", "64")
#define SM_STEPS_LESS_1 "7"
#endif

/* Two sums of a channel, in a and b, to outputs on a line: r2 addend, r3 multiplier. */
#define SM_LINE_LOW(a, b, addend, multiplier)                                                      \
  "add " a ", " addend ", " a ", lsl #8\n\t"                                                       \
  "add " b ", " addend ", " b ", lsl #8\n\t"                                                       \
  "smmul " a ", " a ", " multiplier "\n\t"                                                         \
  "smmul " b ", " b ", " multiplier "\n\t"                                                         \
  "ssat " a ", #8, " a ", asr #12\n\t"                                                             \
  "ssat " b ", #8, " b ", asr #12\n\t"
#define SM_LINE_HIGH(a, b, multiplier)                                                             \
  "smmul " a ", " a ", " multiplier "\n\t"                                                         \
  "smmul " b ", " b ", " multiplier "\n\t"                                                         \
  "ssat " a ", #8, " a ", asr #12\n\t"                                                             \
  "ssat " b ", #8, " b ", asr #12\n\t"
/* The same exactly, from twice the sums: r0 half point, r3 multiplier, r5 shifts. r2 becomes the
 * rounding and the zero point; a negative sum has one unit less to round. */
#define SM_EXACT_LOW(a, b)                                                                         \
  "lsl.w " a ", " a ", #1\n\t"                                                                     \
  "lsl.w " b ", " b ", #1\n\t" SM_EXACT(a, b)
#define SM_EXACT_HIGH(a, b)                                                                        \
  "add " a ", r2, " a ", asr #7\n\t"                                                               \
  "add " b ", r2, " b ", asr #7\n\t" SM_EXACT(a, b)
#define SM_EXACT(a, b)                                                                             \
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
      "ldm %[at], {r0-r9}\n\t"
      /* Frame: 0 the pair's columns, 4 their end (less one if exact), 8 what the stream is moved back
       * by, 12 the first step, 16 outputs of the group, 20 stride, 24 end of the stream, 28
       * stream, 32 half point, 36 pairs left, 40 outputs of the pair, 44 bytes to the next pair, 48
       * what A keeps of the words that S starts with. */
      "sub sp, #56\n\t"
      "str r4, [sp, #36]\n\t"
      "strd r7, r8, [sp, #16]\n\t"
      "str r7, [sp, #40]\n\t"
      "str r6, [sp, #32]\n\t"
      "str r9, [sp, #44]\n\t"
      "rsb r9, r5, #0\n\t"
      "str r9, [sp, #48]\n\t"
      "lsls r7, r2, #3\n\t"
      "adds r4, r0, r7\n\t"
      "subs r4, #4\n\t"
      "adds r7, #32\n\t" /* bytes of a group in the stream */
      "cbz r5, 0f\n\t"
      "subs r4, #1\n\t"
      "adds r7, #4\n\t"
      "0:\n\t"
      "str r4, [sp, #4]\n\t"
      "mla r3, r3, r7, r1\n\t" /* end of the stream */
      "rsbs r4, r2, #0\n\t"
      "and r4, r4, #" SM_STEPS_LESS_1 "\n\t" /* steps to skip the first time */
      "adr.w r5, 2f\n\t"
      "movs r6, #" SM_STEP_BYTES "\n\t"
      "mla r5, r4, r6, r5\n\t"
      "lsrs r6, r4, #4\n\t" /* the pointers move in step 16, which makes it longer */
      "add r5, r5, r6, lsl #2\n\t"
      "and r4, r4, #15\n\t"
      "orr r5, r5, #1\n\t"
      "str r5, [sp, #12]\n\t"
      "lsls r4, r4, #3\n\t"
      "adds r4, #4\n\t"
      "subs r0, r0, r4\n\t"
      "str r0, [sp, #0]\n\t"
      "str r1, [sp, #28]\n\t"
      "str r3, [sp, #24]\n\t"
      "subs r4, #8\n\t"
      "str r4, [sp, #8]\n\t"
      "1:\n\t" /* a group of four channels */
      "ldr r3, [sp, #8]\n\t"
      "ldr r0, [sp, #0]\n\t"
      "ldr r2, [sp, #12]\n\t"
      "ldr lr, [sp, #48]\n\t"
      "ldr r6, [r1]\n\t"
      "ldr r10, [r1, #4]\n\t"
      "subs r1, r1, r3\n\t"
      "and r7, r6, lr\n\t"
      "and r11, r10, lr\n\t"
      "mov r8, r6\n\t"
      "mov r9, r7\n\t"
      "mov r12, r10\n\t"
      "mov lr, r11\n\t"
      "bx r2\n\t"
      "2:\n\t"
      SM_STEPS
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
      SM_LINE_HIGH("r6", "r8", "r4")
      "ldr r3, [r1, #20]\n\t"
      "ldr r4, [r1, #24]\n\t"
      SM_LINE_LOW("r11", "lr", "r5", "r3")
      SM_LINE_HIGH("r10", "r12", "r4")
      "3:\n\t" /* store four outputs for each column */
      "bfi r7, r6, #8, #8\n\t"
      "bfi r9, r8, #8, #8\n\t"
      "bfi r11, r10, #8, #8\n\t"
      "bfi lr, r12, #8, #8\n\t"
      "pkhbt r7, r7, r11, lsl #16\n\t"
      "pkhbt r9, r9, lr, lsl #16\n\t"
      "ldr r5, [sp, #24]\n\t"
      "ldr r2, [sp, #16]\n\t"
      "ldr r3, [sp, #20]\n\t"
      "str r9, [r2, r3]\n\t"
      "str r7, [r2], #4\n\t"
      "str r2, [sp, #16]\n\t"
      "adds r1, #28\n\t"
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
      "ldr r5, [r1, #28]\n\t"
      "ldr r3, [r1, #4]\n\t"
      SM_EXACT_LOW("r7", "r9")
      "ldr r2, [r1, #8]\n\t"
      "ldr r3, [r1, #12]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT_HIGH("r6", "r8")
      "ldr r3, [r1, #16]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT_LOW("r11", "lr")
      "ldr r2, [r1, #20]\n\t"
      "ldr r3, [r1, #24]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT_HIGH("r10", "r12")
      "adds r1, #4\n\t"
      "b 3b\n\t"
      "5:\n\t"
      "add sp, #56\n\t"
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
#undef SM_STEPS_7
#undef SM_STEPS_16
#undef SM_STEPS
#undef SM_STEPS_LESS_1
#undef SM_LINE_LOW
#undef SM_LINE_HIGH
#undef SM_EXACT_LOW
#undef SM_EXACT_HIGH
#undef SM_EXACT

#else
static inline int8_t sm_gemm_line(int32_t scaled, int32_t multiplier) {
  return (int8_t)sm_ssat8(sm_smmul(scaled, multiplier) >> 12);
}

static inline int8_t sm_gemm_exact(int32_t doubled, int32_t multiplier, uint32_t shift,
                                   int32_t half_point) {
  const int32_t rounding = sm_wrap_shl(half_point, (int32_t)shift) + (doubled >> 31);
  return (int8_t)sm_ssat8(sm_smmlar(doubled, multiplier, rounding) >> shift >> 1);
}

static inline void sm_gemm_int8_paired(const sm_gemm_int8_paired_call *call) {
  for (int32_t i = 2 * call->pairs - 1; i >= 0; --i) { /* of two in one place the first remains */
    const uint32_t *values = call->columns + i / 2 * (call->pair_bytes / 4) + i % 2;
    const int32_t *stream = call->stream;
    int8_t *out = call->out + i * call->out_stride;
    for (int32_t group = 0; group < call->groups; ++group) {
      const int32_t *factors = stream + 2 + 2 * call->steps;
      const uint32_t shifts = call->exact ? (uint32_t)factors[6] : 0;
      for (int32_t pair = 0; pair < 2; ++pair, out += 2, factors += 3) {
        int32_t both = stream[pair], low = call->exact ? both : 0;
        for (int32_t step = 0; step < call->steps; ++step) {
          const uint32_t weights = (uint32_t)stream[2 + 2 * step + pair];
          both = sm_smlad(weights, values[2 * step], both);
          low = sm_smlad(sm_sxtb16(weights), values[2 * step], low);
        }
        both = sm_wrap_sub(both, low);
        if (call->exact) {
          const uint32_t shift = shifts >> 16 * pair;
          low = sm_wrap_shl(low, 1);
          both = sm_wrap_add(both >> 7, factors[1]);
          out[0] = sm_gemm_exact(low, factors[0], shift & 255u, call->half_point);
          out[1] = sm_gemm_exact(both, factors[2], shift >> 8 & 255u, call->half_point);
        } else {
          out[0] = sm_gemm_line(sm_wrap_add(sm_wrap_shl(low, 8), factors[0]), factors[1]);
          out[1] = sm_gemm_line(both, factors[2]);
        }
      }
      stream = factors + (call->exact ? 1 : 0);
    }
  }
}
#endif

#endif
