/* The runs of lanes_run.h for cores with 16-bit Thumb instructions only, where most of them reach
 * eight registers and a compiler would spend half its time moving numbers about. */
#ifndef SM_LANES_THUMB1_H
#define SM_LANES_THUMB1_H

#include "common.h"
#include "lanes.h"
#include "thumb1.h"

#if SM_HAS_THUMB1

/* Throughout: r11 the run, r8 to r10 the three words of sums; while outputs are made, r12 where
 * sums end and lr the bytes between pixels. Fields of the run by their offsets. */
#define SM_RUN_BEGIN                                                                               \
  ".syntax unified\n\t"                                                                            \
  "push {r4, r5, r6, r7}\n\t"                                                                      \
  "mov r4, r8\n\t"                                                                                 \
  "mov r5, r9\n\t"                                                                                 \
  "mov r6, r10\n\t"                                                                                \
  "mov r7, r11\n\t"                                                                                \
  "push {r4, r5, r6, r7}\n\t"                                                                      \
  "mov r11, r0\n\t"                                                                                \
  "ldr r1, [r0, #44]\n\t" /* pixel_step */                                                         \
  "mov lr, r1\n\t"                                                                                 \
  "ldr r1, [r0, #48]\n\t" /* pixels */                                                             \
  "lsls r1, r1, #2\n\t"                                                                            \
  "adds r1, #60\n\t" /* sums */                                                                    \
  "adds r1, r1, r0\n\t"                                                                            \
  "mov r12, r1\n"                                                                                  \
  "1:\n\t"                                                                                         \
  "mov r7, r11\n\t"                                                                                \
  "ldmia r7!, {r2}\n\t"             /* x */                                                        \
  "ldmia r7!, {r1}\n\t"             /* weights */                                                  \
  "ldmia r7!, {r0, r3, r4, r5}\n\t" /* n, none */                                                  \
  "mov r8, r3\n\t"                                                                                 \
  "mov r9, r4\n\t"                                                                                 \
  "mov r10, r5\n\t"

/* One weight, in r6, times three words at r2. */
#define SM_RUN_STEP                                                                                \
  "ldmia r2!, {r3, r4, r5}\n\t"                                                                    \
  "muls r3, r6\n\t"                                                                                \
  "muls r4, r6\n\t"                                                                                \
  "muls r5, r6\n\t"                                                                                \
  "add r8, r3\n\t"                                                                                 \
  "add r9, r4\n\t"                                                                                 \
  "add r10, r5\n\t"

/* The weights r1 points to: a byte, or a word. */
#define SM_RUN_BYTE(at) "ldrb r6, [r1, #" at "]\n\t" SM_RUN_STEP
#define SM_RUN_WORD "ldmia r1!, {r6}\n\t" SM_RUN_STEP

/* r0 products of byte weights, and r1 behind them. */
#define SM_RUN_BYTES                                                                               \
  "subs r0, #8\n\t"                                                                                \
  "bmi 3f\n"                                                                                       \
  "2:\n\t" SM_RUN_BYTE("0") SM_RUN_BYTE("1") SM_RUN_BYTE("2") SM_RUN_BYTE("3") SM_RUN_BYTE("4")    \
      SM_RUN_BYTE("5") SM_RUN_BYTE("6")                                                            \
          SM_RUN_BYTE("7") "adds r1, #8\n\t"                                                       \
                           "subs r0, #8\n\t"                                                       \
                           "bpl 2b\n"                                                              \
                           "3:\n\t"                                                                \
                           "adds r0, #8\n\t"                                                       \
                           "beq 5f\n"                                                              \
                           "4:\n\t" SM_RUN_BYTE("0") "adds r1, #1\n\t"                             \
                                                     "subs r0, #1\n\t"                             \
                                                     "bne 4b\n"                                    \
                                                     "5:\n\t"

/* r0 products of word weights: three by three. */
#define SM_RUN_WORDS                                                                               \
  "subs r0, #3\n\t"                                                                                \
  "bmi 3f\n"                                                                                       \
  "2:\n\t" SM_RUN_WORD SM_RUN_WORD SM_RUN_WORD "subs r0, #3\n\t"                                   \
  "bpl 2b\n"                                                                                       \
  "3:\n\t"                                                                                         \
  "adds r0, #3\n\t"                                                                                \
  "beq 5f\n"                                                                                       \
  "4:\n\t" SM_RUN_WORD "subs r0, #1\n\t"                                                           \
  "bne 4b\n"                                                                                       \
  "5:\n\t"

/* sm_lanes_apart; ends without lines, else r7 the run and r0 the line. */
#define SM_RUN_APART                                                                               \
  "mov r7, r11\n\t"                                                                                \
  "mov r0, r8\n\t"                                                                                 \
  "lsls r3, r0, #8\n\t"                                                                            \
  "asrs r3, r3, #8\n\t" /* A */                                                                    \
  "subs r0, r0, r3\n\t"                                                                            \
  "lsrs r0, r0, #8\n\t"                                                                            \
  "mov r2, r9\n\t"                                                                                 \
  "subs r4, r2, r0\n\t"                                                                            \
  "lsls r4, r4, #8\n\t"                                                                            \
  "asrs r4, r4, #8\n\t" /* B */                                                                    \
  "subs r2, r2, r4\n\t"                                                                            \
  "lsrs r2, r2, #8\n\t"                                                                            \
  "mov r6, r10\n\t"                                                                                \
  "subs r5, r6, r2\n\t"                                                                            \
  "lsls r5, r5, #8\n\t"                                                                            \
  "asrs r5, r5, #8\n\t" /* C */                                                                    \
  "subs r6, r6, r5\n\t"                                                                            \
  "asrs r6, r6, #8\n\t" /* D */                                                                    \
  "adds r7, #60\n\t"                                                                               \
  "stmia r7!, {r3, r4, r5, r6}\n\t"                                                                \
  "subs r7, #76\n\t"                                                                               \
  "ldr r0, [r7, #24]\n\t" /* lines */                                                              \
  "cmp r0, #0\n\t"                                                                                 \
  "beq 9f\n\t"

/* What the next item starts from; `step` bytes between outputs of one pixel. */
#define SM_RUN_NEXT_CHANNEL                                                                        \
  "str r1, [r7, #4]\n\t" /* weights */                                                             \
  "ldmia r0!, {r1, r3}\n\t"                                                                        \
  "str r0, [r7, #24]\n\t"
#define SM_RUN_NEXT_COLUMN                                                                         \
  "ldmia r0!, {r1, r3}\n\t"                                                                        \
  "ldr r0, [r7]\n\t" /* x */                                                                       \
  "ldr r2, [r7, #56]\n\t"                                                                          \
  "adds r0, r0, r2\n\t"                                                                            \
  "str r0, [r7]\n\t"

/* Outputs on the line of multiplier r1 and addend r3: sm_mul_drop16 and the rest. */
#define SM_RUN_OUTPUTS                                                                             \
  "mov r8, r3\n\t"                                                                                 \
  "lsrs r3, r1, #16\n\t"                                                                           \
  "uxth r2, r1\n\t"                                                                                \
  "ldr r0, [r7, #32]\n\t" /* low */                                                                \
  "mov r9, r0\n\t"                                                                                 \
  "ldr r0, [r7, #36]\n\t" /* high */                                                               \
  "mov r10, r0\n\t"                                                                                \
  "ldr r4, [r7, #28]\n\t" /* shift */                                                              \
  "ldr r5, [r7, #40]\n\t" /* out */                                                                \
  "adds r7, #60\n"                                                                                 \
  "6:\n\t"                                                                                         \
  "ldmia r7!, {r0}\n\t"                                                                            \
  "uxtb r6, r0\n\t"                                                                                \
  "muls r6, r2\n\t"                                                                                \
  "lsrs r6, r6, #8\n\t"                                                                            \
  "asrs r1, r0, #8\n\t"                                                                            \
  "muls r1, r2\n\t"                                                                                \
  "adds r1, r1, r6\n\t"                                                                            \
  "asrs r1, r1, #8\n\t"                                                                            \
  "muls r0, r3\n\t"                                                                                \
  "adds r0, r0, r1\n\t"                                                                            \
  "add r0, r8\n\t"                                                                                 \
  "asrs r0, r4\n\t"                                                                                \
  "cmp r0, r9\n\t"                                                                                 \
  "blt 7f\n\t"                                                                                     \
  "cmp r0, r10\n\t"                                                                                \
  "bgt 8f\n\t"                                                                                     \
  "strb r0, [r5]\n\t"                                                                              \
  "add r5, lr\n\t"                                                                                 \
  "cmp r7, r12\n\t"                                                                                \
  "bne 6b\n\t"                                                                                     \
  "b 10f\n"                                                                                        \
  "7:\n\t"                                                                                         \
  "mov r0, r9\n\t"                                                                                 \
  "strb r0, [r5]\n\t"                                                                              \
  "add r5, lr\n\t"                                                                                 \
  "cmp r7, r12\n\t"                                                                                \
  "bne 6b\n\t"                                                                                     \
  "b 10f\n"                                                                                        \
  "8:\n\t"                                                                                         \
  "mov r0, r10\n\t"                                                                                \
  "strb r0, [r5]\n\t"                                                                              \
  "add r5, lr\n\t"                                                                                 \
  "cmp r7, r12\n\t"                                                                                \
  "bne 6b\n"                                                                                       \
  "10:\n\t"                                                                                        \
  "mov r7, r11\n\t"                                                                                \
  "ldr r5, [r7, #40]\n\t" /* out */

#define SM_RUN_END                                                                                 \
  "str r5, [r7, #40]\n\t"                                                                          \
  "ldr r0, [r7, #52]\n\t" /* items */                                                              \
  "subs r0, #1\n\t"                                                                                \
  "str r0, [r7, #52]\n\t"                                                                          \
  "beq 9f\n\t"                                                                                     \
  "b 1b\n"                                                                                         \
  "9:\n\t"                                                                                         \
  "pop {r4, r5, r6, r7}\n\t"                                                                       \
  "mov r8, r4\n\t"                                                                                 \
  "mov r9, r5\n\t"                                                                                 \
  "mov r10, r6\n\t"                                                                                \
  "mov r11, r7\n\t"                                                                                \
  "pop {r4, r5, r6, r7}\n\t"

/* Items with weights of their own, bytes, and items with the same weights, words. The code saves
 * what it does not return, so that a compiler has to spare none of the registers that it may need
 * for its own frame. */
static SM_PART void sm_lanes_thumb1_bytes(sm_lanes_run *run) {
  register sm_lanes_run *r0 __asm__("r0") = run;
  __asm__ volatile(SM_RUN_BEGIN SM_RUN_BYTES SM_RUN_APART SM_RUN_NEXT_CHANNEL SM_RUN_OUTPUTS
                   "adds r5, #1\n\t" SM_RUN_END
                   : "+r"(r0)
                   :
                   : "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

static SM_PART void sm_lanes_thumb1_words(sm_lanes_run *run) {
  register sm_lanes_run *r0 __asm__("r0") = run;
  __asm__ volatile(SM_RUN_BEGIN SM_RUN_WORDS SM_RUN_APART SM_RUN_NEXT_COLUMN SM_RUN_OUTPUTS
                   "ldr r0, [r7, #76]\n\t" /* out_step */
                   "adds r5, r5, r0\n\t" SM_RUN_END
                   : "+r"(r0)
                   :
                   : "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

/* sm_lanes_widen. r0 to r3: from; r4: bytes behind them; r5: to; r6: the last pixel's value. */
static SM_PART void sm_lanes_thumb1_widen(sm_lanes_values *values) {
  register sm_lanes_values *r0 __asm__("r0") = values;
  __asm__ volatile(".syntax unified\n\t"
                   "push {r4, r5, r6, r7}\n\t"
                   "mov r4, r8\n\t"
                   "mov r5, r9\n\t"
                   "mov r6, r10\n\t"
                   "mov r7, r11\n\t"
                   "push {r0, r4, r5, r6, r7}\n\t"
                   "ldr r1, [r0, #20]\n\t" /* end */
                   "mov r12, r1\n\t"
                   "ldr r1, [r0, #24]\n\t" /* step */
                   "mov r11, r1\n\t"
                   "ldr r1, [r0, #28]\n\t" /* next */
                   "mov lr, r1\n\t"
                   "ldr r1, [r0, #32]\n\t" /* sums */
                   "mov r8, r1\n\t"
                   "ldr r1, [r0, #36]\n\t"
                   "mov r9, r1\n\t"
                   "ldr r1, [r0, #40]\n\t"
                   "mov r10, r1\n\t"
                   "movs r4, #0\n\t"
                   "ldr r5, [r0, #16]\n\t" /* to */
                   "ldmia r0!, {r1, r2, r3}\n\t"
                   "ldr r6, [r0]\n\t"
                   "mov r0, r1\n\t"
                   "mov r1, r2\n\t"
                   "mov r2, r3\n\t"
                   "mov r3, r6\n"
                   "1:\n\t"
                   "ldrsb r6, [r3, r4]\n\t"
                   "lsls r6, r6, #8\n\t"
                   "ldrsb r7, [r2, r4]\n\t"
                   "adds r7, r7, r6\n\t"
                   "str r7, [r5, #8]\n\t"
                   "add r10, r7\n\t"
                   "lsls r6, r6, #8\n\t"
                   "ldrsb r7, [r1, r4]\n\t"
                   "adds r7, r7, r6\n\t"
                   "str r7, [r5, #4]\n\t"
                   "add r9, r7\n\t"
                   "lsls r6, r6, #8\n\t"
                   "ldrsb r7, [r0, r4]\n\t"
                   "adds r7, r7, r6\n\t"
                   "str r7, [r5]\n\t"
                   "add r8, r7\n\t"
                   "add r5, lr\n\t"
                   "add r4, r11\n\t"
                   "cmp r4, r12\n\t"
                   "bne 1b\n\t"
                   "pop {r0}\n\t"
                   "str r5, [r0, #16]\n\t"
                   "mov r1, r8\n\t"
                   "mov r2, r9\n\t"
                   "mov r3, r10\n\t"
                   "str r1, [r0, #32]\n\t"
                   "str r2, [r0, #36]\n\t"
                   "str r3, [r0, #40]\n\t"
                   "pop {r4, r5, r6, r7}\n\t"
                   "mov r8, r4\n\t"
                   "mov r9, r5\n\t"
                   "mov r10, r6\n\t"
                   "mov r11, r7\n\t"
                   "pop {r4, r5, r6, r7}\n\t"
                   : "+r"(r0)
                   :
                   : "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

#undef SM_RUN_BEGIN
#undef SM_RUN_STEP
#undef SM_RUN_BYTE
#undef SM_RUN_WORD
#undef SM_RUN_BYTES
#undef SM_RUN_WORDS
#undef SM_RUN_APART
#undef SM_RUN_NEXT_CHANNEL
#undef SM_RUN_NEXT_COLUMN
#undef SM_RUN_OUTPUTS
#undef SM_RUN_END

#endif

#endif
