/* The inner product of fast layers with int4 weights: two columns of inputs times any number of
 * channels, as gemm_int8_paired.h does it, from half the bytes.
 *
 * A halfword holds the weights of four channels for one value, W = 4096 * d + 256 * (b + 8) + 16 *
 * (c + 8) + (a + 8). It and parts of it, taken by one instruction each, are what SMLAD multiplies:
 *
 *   W               4096 * d + 256 * (b + 8) + 16 * (c + 8) + (a + 8)
 *   its low byte                               16 * (c + 8) + (a + 8)
 *   W & 0x0f0f                 256 * (b + 8)                + (a + 8)
 *   its low byte                                              (a + 8)
 *
 * The eights add multiples of the sum of a column's values: the sums start at minus those. Their
 * differences are the sums of the channels, 4096 * D, 16 * C, 256 * B and A. Everything wraps at
 * 2^32 until then. */
#ifndef SM_GEMM_INT4_PAIRED_H
#define SM_GEMM_INT4_PAIRED_H

#include "common.h"
#include "dsp.h"
#include "gemm_int8_paired.h"

/* Words in front of each pair of columns: what the sums start at. */
#define SM_INT4_STARTS 8

/* Where the sums of one column start: `first` 0 or 2, for the first or the second of a pair. */
SM_DSP void sm_int4_start(uint32_t *pair, int32_t first, int32_t sum) {
  pair[first] = (uint32_t)(-2056 * sum);
  pair[first + 1] = (uint32_t)(-8 * sum);
  pair[first + 4] = (uint32_t)(-2184 * sum);
  pair[first + 5] = (uint32_t)(-136 * sum);
}

/* The call is that of sm_gemm_int8_paired, but in front of each pair of columns there are its
 * starts, and the stream has for each group of four channels: for each step one word, the halfword
 * of the first value lowest; for each channel, addend and multiplier; if exact, the word of shifts.
 * Where exact, addends are for twice the sums.
 * A, B and C must fit 24 bits, D 20 bits: the magnitudes of the weights of each fourth channel,
 * times 128, sum up to less than 2^19. */
#if SM_HAS_DSP && defined(__thumb2__)
/* Registers: r0 columns, r1 stream, r2 and r3 weights, r4 and r5 values; of W & 0x0f0f and of its
 * low byte r6 and r7 (first column), r8 and r9 (second); of W and its low byte r10 and r11, r12 and
 * lr. Loads run back to back. The last step moves both pointers: offsets are one word ahead of
 * them. A depth that is no multiple of the unrolled steps starts in their middle. */
#define SM_STEP_BYTES "50"
#define SM_STEP_MACS                                                                               \
  "and r3, r2, #0x0f0f0f0f\n\t"                                                                    \
  "smlad r10, r2, r4, r10\n\t"                                                                     \
  "smlad r12, r2, r5, r12\n\t"                                                                     \
  "uxtb16 r2, r2\n\t"                                                                              \
  "smlad r6, r3, r4, r6\n\t"                                                                       \
  "smlad r8, r3, r5, r8\n\t"                                                                       \
  "uxtb16 r3, r3\n\t"                                                                              \
  "smlad r11, r2, r4, r11\n\t"                                                                     \
  "smlad lr, r2, r5, lr\n\t"                                                                       \
  "smlad r7, r3, r4, r7\n\t"                                                                       \
  "smlad r9, r3, r5, r9\n\t"
#define SM_STEP_AT(w, x0, x1)                                                                      \
  "ldr.n r2, [r1, #" w "]\n\t"                                                                     \
  "ldr.n r4, [r0, #" x0 "]\n\t"                                                                    \
  "ldr.n r5, [r0, #" x1 "]\n\t" SM_STEP_MACS
#define SM_STEP_LAST(w, x0, x1)                                                                    \
  "ldr.w r2, [r1, #" w "]!\n\t"                                                                    \
  "ldr.n r4, [r0, #" x0 "]\n\t"                                                                    \
  "ldr.w r5, [r0, #" x1 "]!\n\t" SM_STEP_MACS

/* Two sums of a channel, in a and b and shifted so that they count 256 each, to outputs on a line:
 * addend, multiplier. */
#define SM_LINE(a, b, shifted, addend, multiplier)                                                 \
  "add " a ", " addend ", " a ", " shifted "\n\t"                                                  \
  "add " b ", " addend ", " b ", " shifted "\n\t"                                                  \
  "smmul " a ", " a ", " multiplier "\n\t"                                                         \
  "smmul " b ", " b ", " multiplier "\n\t"                                                         \
  "ssat " a ", #8, " a ", asr #12\n\t"                                                             \
  "ssat " b ", #8, " b ", asr #12\n\t"
/* The same exactly, shifted so that they count 2 each: r0 half point, r2 addend, r3 multiplier, r5
 * shifts. r2 becomes the rounding and the zero point; a negative sum has one unit less to round. */
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
static SM_PART __attribute__((aligned(4))) void sm_gemm_int4_paired(const sm_gemm_int8_paired_call *call) {
  const sm_gemm_int8_paired_call *at = call;
  __asm__ volatile(
      "push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */
      "ldm %[at], {r0-r9}\n\t"
      /* Frame: 0 the pair's columns, 4 their end (less one if exact), 8 from one group to the
       * next, 12 the first step, 16 outputs of the group, 20 stride, 24 end of the stream, 28
       * stream, 32 half point, 36 pairs left, 40 outputs of the pair, 44 bytes to the next pair, 48 the
       * pair's starts. */
      "sub sp, #56\n\t"
      "str r4, [sp, #36]\n\t"
      "strd r7, r8, [sp, #16]\n\t"
      "str r7, [sp, #40]\n\t"
      "str r6, [sp, #32]\n\t"
      "str r0, [sp, #48]\n\t"
      "adds r0, #32\n\t"
      "lsls r7, r2, #3\n\t"
      "adds r4, r0, r7\n\t"
      "subs r4, #4\n\t"
      "str r9, [sp, #44]\n\t"
      "lsls r7, r2, #2\n\t"
      "adds r7, #32\n\t" /* bytes of a group */
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
      "lsls r5, r4, #3\n\t"
      "adds r5, #4\n\t"
      "subs r0, r0, r5\n\t"
      "str r0, [sp, #0]\n\t"
      "lsls r4, r4, #2\n\t"
      "adds r4, #4\n\t"
      "subs r1, r1, r4\n\t"
      "str r1, [sp, #28]\n\t"
      "subs r3, r3, r4\n\t"
      "str r3, [sp, #24]\n\t"
      "rsb r4, r4, #36\n\t"
      "str r4, [sp, #8]\n\t"
      "1:\n\t" /* a group of four channels */
      "ldr r2, [sp, #48]\n\t"
      "ldr r3, [sp, #12]\n\t"
      "ldr r0, [sp, #0]\n\t"
      "ldm r2, {r6-r12, lr}\n\t"
      "bx r3\n\t"
      ".p2align 2\n\t"
      "2:\n\t" /* sixteen steps */
      SM_STEP_AT("4", "4", "8")
      SM_STEP_AT("8", "12", "16")
      SM_STEP_AT("12", "20", "24")
      SM_STEP_AT("16", "28", "32")
      SM_STEP_AT("20", "36", "40")
      SM_STEP_AT("24", "44", "48")
      SM_STEP_AT("28", "52", "56")
      SM_STEP_AT("32", "60", "64")
      SM_STEP_AT("36", "68", "72")
      SM_STEP_AT("40", "76", "80")
      SM_STEP_AT("44", "84", "88")
      SM_STEP_AT("48", "92", "96")
      SM_STEP_AT("52", "100", "104")
      SM_STEP_AT("56", "108", "112")
      SM_STEP_AT("60", "116", "120")
      SM_STEP_LAST("64", "124", "128")
      "ldr r2, [sp, #4]\n\t"
      "cmp r0, r2\n\t"
      "blo.w 2b\n\t"
      "sub r10, r10, r6\n\t" /* 4096 * D + 16 * C */
      "sub r12, r12, r8\n\t"
      "sub r11, r11, r7\n\t" /* 16 * C */
      "sub lr, lr, r9\n\t"
      "sub r6, r6, r7\n\t" /* 256 * B */
      "sub r8, r8, r9\n\t"
      "sub r10, r10, r11\n\t"
      "sub r12, r12, lr\n\t"
      "bne.w 4f\n\t"
      "ldr r2, [r1, #4]\n\t"
      "ldr r3, [r1, #8]\n\t"
      "ldr r4, [r1, #12]\n\t"
      "ldr r5, [r1, #16]\n\t"
      SM_LINE("r7", "r9", "lsl #8", "r2", "r3")
      SM_LINE("r6", "r8", "lsl #0", "r4", "r5")
      "ldr r2, [r1, #20]\n\t"
      "ldr r3, [r1, #24]\n\t"
      "ldr r4, [r1, #28]\n\t"
      "ldr r5, [r1, #32]\n\t"
      SM_LINE("r11", "lr", "lsl #4", "r2", "r3")
      SM_LINE("r10", "r12", "asr #4", "r4", "r5")
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
      "ldr r2, [sp, #48]\n\t"
      "add r0, r4\n\t"
      "str r0, [sp, #0]\n\t"
      "add r5, r4\n\t"
      "str r5, [sp, #4]\n\t"
      "add r2, r4\n\t"
      "str r2, [sp, #48]\n\t"
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
      SM_EXACT("r11", "lr", "asr #3")
      "ldr r2, [r1, #28]\n\t"
      "ldr r3, [r1, #32]\n\t"
      "lsrs r5, r5, #8\n\t"
      SM_EXACT("r10", "r12", "asr #11")
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
#undef SM_LINE
#undef SM_EXACT

#else
/* One sum to its output; factor: addend and multiplier. */
static inline int8_t sm_gemm_int4_output(const sm_gemm_int8_paired_call *call, int32_t sum,
                                         const int32_t *factor, uint32_t shift) {
  if (!call->exact) {
    return sm_gemm_line(sm_wrap_add(sm_wrap_shl(sum, 8), factor[0]), factor[1]);
  }
  const int32_t doubled = sm_wrap_add(sm_wrap_shl(sum, 1), factor[0]);
  return sm_gemm_exact(doubled, factor[1], shift, call->half_point);
}

static inline void sm_gemm_int4_paired(const sm_gemm_int8_paired_call *call) {
  for (int32_t j = 2 * call->pairs - 1; j >= 0; --j) { /* of two in one place the first remains */
    const uint32_t *starts = call->columns + j / 2 * (call->pair_bytes / 4);
    const uint32_t *values = starts + SM_INT4_STARTS + j % 2;
    const int32_t *stream = call->stream;
    int8_t *out = call->out + j * call->out_stride;
    starts += j % 2 * 2;
    for (int32_t group = 0; group < call->groups; ++group, out += 4) {
      const int32_t *factors = stream + call->steps;
      const uint32_t shifts = call->exact ? (uint32_t)factors[8] : 0;
      int32_t dcba = (int32_t)starts[4], ca = (int32_t)starts[5];
      int32_t ba = (int32_t)starts[0], a = (int32_t)starts[1];
      for (int32_t i = 0; i < call->steps; ++i) {
        const uint32_t weights = (uint32_t)stream[i], two = weights & 0x0f0f0f0fu;
        dcba = sm_smlad(weights, values[2 * i], dcba);
        ca = sm_smlad(weights & 0x00ff00ffu, values[2 * i], ca);
        ba = sm_smlad(two, values[2 * i], ba);
        a = sm_smlad(two & 0x00ff00ffu, values[2 * i], a);
      }
      const int32_t dc = sm_wrap_sub(dcba, ba), c = sm_wrap_sub(ca, a);
      const int32_t sums[4] = {a, sm_wrap_sub(ba, a) >> 8, c >> 4, sm_wrap_sub(dc, c) >> 12};
      for (int32_t k = 0; k < 4; ++k) {
        out[k] = sm_gemm_int4_output(call, sums[k], factors + 2 * k, shifts >> 8 * k & 255u);
      }
      stream = factors + (call->exact ? 9 : 8);
    }
  }
}
#endif

#endif
