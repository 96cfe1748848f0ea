/* The assembly of depthwise 3x3 windows: what the cores of stride 1 and stride 2 share. */
#ifndef SM_DEPTHWISE_3X3_H
#define SM_DEPTHWISE_3X3_H

#include "depthwise_dsp.h"

#if SM_HAS_DSP && defined(__thumb2__)
/* Registers: r0 values, r1 outputs; r2 and r3 words of values; sums of one line in r4 and r5, of
 * the next in r6 and r7; weights in r8 to r12 and lr. */

/* Sums a to d to outputs, on lines: m becomes the multiplier. */
#define SM_SCALE(a, m) "smmul " a ", " a ", " m "\n\t"
#define SM_LIMIT(a) "ssat " a ", #8, " a ", asr #12\n\t"
#define SM_STORE(a, at) "strb.w " a ", [r1, #" at "]\n\t"
/* clang-format off */
#define SM_OUTPUTS_2(m, n, a, b, at0, at1)                                                         \
  "ldr.w " m ", [sp, #4]\n\t"                                                                      \
  SM_SCALE(a, m) SM_SCALE(b, m)                                                                    \
  SM_LIMIT(a) SM_LIMIT(b)                                                                          \
  SM_STORE(a, at0) SM_STORE(b, at1)
#define SM_OUTPUTS_4(m, n, a, b, c, d, at0, at1, at2, at3)                                         \
  "ldr.w " m ", [sp, #4]\n\t"                                                                      \
  SM_SCALE(a, m) SM_SCALE(b, m) SM_SCALE(c, m) SM_SCALE(d, m)                                      \
  SM_LIMIT(a) SM_LIMIT(b) SM_LIMIT(c) SM_LIMIT(d)                                                  \
  SM_STORE(a, at0) SM_STORE(b, at1) SM_STORE(c, at2) SM_STORE(d, at3)
/* The same exactly: n becomes the rounding and zero point, r12 the shift. A negative sum has one
 * unit less to round. Two weights make room and come back. */
#define SM_ROUND(a, m, n)                                                                          \
  "add.w lr, " n ", " a ", asr #31\n\t"                                                            \
  "smmlar " a ", " a ", " m ", lr\n\t"                                                             \
  "asr.w " a ", " a ", r12\n\t"                                                                    \
  "ssat " a ", #8, " a ", asr #1\n\t"
#define SM_FACTORS(m, n)                                                                           \
  "ldr.w " m ", [sp, #4]\n\t"                                                                      \
  "ldr.w " n ", [sp, #40]\n\t"                                                                     \
  "ldr.w r12, [sp, #44]\n\t"
#define SM_WEIGHTS_AGAIN                                                                           \
  "ldr.w r12, [sp, #48]\n\t"                                                                       \
  "ldr.w lr, [sp, #52]\n\t"
#define SM_EXACT_2(m, n, a, b, at0, at1)                                                           \
  SM_FACTORS(m, n) SM_ROUND(a, m, n) SM_ROUND(b, m, n)                                             \
  SM_STORE(a, at0) SM_STORE(b, at1) SM_WEIGHTS_AGAIN
#define SM_EXACT_4(m, n, a, b, c, d, at0, at1, at2, at3)                                           \
  SM_FACTORS(m, n) SM_ROUND(a, m, n) SM_ROUND(b, m, n) SM_ROUND(c, m, n) SM_ROUND(d, m, n)         \
  SM_STORE(a, at0) SM_STORE(b, at1) SM_STORE(c, at2) SM_STORE(d, at3) SM_WEIGHTS_AGAIN
/* A channel's words of weights lie four words apart. */
#define SM_WEIGHTS_5                                                                               \
  "ldr.w r8, [r2]\n\t"                                                                             \
  "ldr.w r9, [r2, #16]\n\t"                                                                        \
  "ldr.w r10, [r2, #32]\n\t"                                                                       \
  "ldr.w r11, [r2, #48]\n\t"                                                                       \
  "ldr.w r12, [r2, #64]\n\t"
#define SM_WEIGHTS_6 SM_WEIGHTS_5 "ldr.w lr, [r2, #80]\n\t"
/* What exact sums need of a channel: its shift, the rounding, and two weights. */
#define SM_EXACT_CHANNEL                                                                           \
  "strd r12, lr, [sp, #48]\n\t"                                                                    \
  "ldrd r2, r3, [sp, #56]\n\t"                                                                     \
  "ldrsb r5, [r2], #1\n\t"                                                                         \
  "str r2, [sp, #56]\n\t"                                                                          \
  "lsl r4, r3, r5\n\t"                                                                             \
  "strd r4, r5, [sp, #40]\n\t"
/* clang-format on */

/* The loops around what computes a pair of outputs of every line. A pair is made by `blocks`, of
 * which each makes two lines, after `last`, which makes the last line if their number is odd. Fewer
 * lines than a tile can have enter the blocks later, with pointers moved down by as much: `last`
 * has the offsets of the line behind all of them. Blocks are jumped to by their number: each has
 * `block_bytes`, and every instruction in them is wide.
 *
 * values_shift, outputs_shift: a block moves values and outputs by 2^shift bytes; values_step,
 * outputs_step: a pair does, in bytes; weights: loads of a channel's from r2; channel: what else
 * one needs. */
/* clang-format off */
#define SM_DEPTHWISE_3X3(blocks, last, channel, count, block_bytes, values_shift, outputs_shift,   \
                         values_step, outputs_step, weights)                                       \
  "push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */                    \
  "ldm %[at], {r0-r8}\n\t"                                                                         \
  /* Frame: 0 addend, 4 multiplier, 8 end of the channel's outputs, 12 where a pair begins, 16 its \
   * first block, 20 channels left, 24 values, 28 outputs, 32 weights, 36 factors, 40 rounding, 44 \
   * shift, 48 two weights, 56 shifts, 60 twice the zero point, plus one. */                       \
  "sub sp, #64\n\t"                                                                                \
  "str r4, [sp, #20]\n\t"                                                                          \
  "strd r2, r3, [sp, #32]\n\t"                                                                     \
  "strd r7, r8, [sp, #56]\n\t"                                                                     \
  "lsrs r2, r5, #1\n\t"                                                                            \
  "rsb r2, r2, #" count "\n\t" /* blocks to skip */                                                \
  "sub r0, r0, r2, lsl #" values_shift "\n\t"                                                      \
  "sub r1, r1, r2, lsl #" outputs_shift "\n\t"                                                     \
  "strd r0, r1, [sp, #24]\n\t"                                                                     \
  "movs r3, #" outputs_step "\n\t"                                                                 \
  "mla r3, r6, r3, r1\n\t"                                                                         \
  "str r3, [sp, #8]\n\t"                                                                           \
  "adr.w r3, 3f\n\t"                                                                               \
  "movw r4, #" block_bytes "\n\t"                                                                  \
  "mla r3, r2, r4, r3\n\t"                                                                         \
  "orr r3, r3, #1\n\t"                                                                             \
  "str r3, [sp, #16]\n\t"                                                                          \
  "lsls r5, r5, #31\n\t"                                                                           \
  "beq 1f\n\t"                                                                                     \
  "adr.w r3, 2f\n\t"                                                                               \
  "orr r3, r3, #1\n\t"                                                                             \
  "1:\n\t"                                                                                         \
  "str r3, [sp, #12]\n\t"                                                                          \
  "5:\n\t" /* a channel */                                                                         \
  "ldrd r2, r3, [sp, #32]\n\t"                                                                     \
  weights                                                                                          \
  "adds r2, #4\n\t"                                                                                \
  "ldrd r4, r5, [r3], #8\n\t"                                                                      \
  "strd r2, r3, [sp, #32]\n\t"                                                                     \
  "strd r4, r5, [sp, #0]\n\t"                                                                      \
  channel                                                                                          \
  "ldr r3, [sp, #12]\n\t"                                                                          \
  "bx r3\n\t"                                                                                      \
  ".p2align 2\n\t"                                                                                 \
  "2:\n\t"                                                                                         \
  last                                                                                             \
  "ldr r3, [sp, #16]\n\t"                                                                          \
  "bx r3\n\t"                                                                                      \
  ".p2align 2\n\t"                                                                                 \
  "3:\n\t"                                                                                         \
  blocks                                                                                           \
  "ldr r2, [sp, #8]\n\t"                                                                           \
  "ldr r3, [sp, #12]\n\t"                                                                          \
  "add r0, r0, #" values_step "\n\t"                                                               \
  "adds r1, #" outputs_step "\n\t"                                                                 \
  "cmp r1, r2\n\t"                                                                                 \
  "beq 4f\n\t"                                                                                     \
  "bx r3\n\t"                                                                                      \
  "4:\n\t" /* the next channel */                                                                  \
  "ldrd r0, r1, [sp, #24]\n\t"                                                                     \
  "ldr r4, [sp, #20]\n\t"                                                                          \
  "adds r0, #4\n\t"                                                                                \
  "adds r1, #1\n\t"                                                                                \
  "strd r0, r1, [sp, #24]\n\t"                                                                     \
  "adds r2, #1\n\t"                                                                                \
  "str r2, [sp, #8]\n\t"                                                                           \
  "subs r4, #1\n\t"                                                                                \
  "str r4, [sp, #20]\n\t"                                                                          \
  "bne.w 5b\n\t"                                                                                   \
  "add sp, #64\n\t"                                                                                \
  "pop {r7, r11}"
/* clang-format on */
#define SM_DEPTHWISE_3X3_CLOBBERS                                                                  \
  "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory"
#endif

#endif
