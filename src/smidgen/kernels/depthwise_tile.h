/* Moves values into tiles of depthwise_dsp.h, and outputs out of them. */
#ifndef SM_DEPTHWISE_TILE_H
#define SM_DEPTHWISE_TILE_H

#include "common.h"
#include "dsp.h"

/* Four bytes of two positions, a and b, to a word (a, b) for each channel, `pitch` words apart. */
SM_DSP void sm_depthwise_pair(uint32_t *to, int32_t pitch, uint32_t a, uint32_t b) {
  const uint32_t low = sm_pkhbt_lsl16(a, b), high = sm_pkhtb_asr16(b, a);
  to[0] = sm_sxtb16(low);
  to[pitch] = sm_sxtb16_ror8(low);
  to[2 * pitch] = sm_sxtb16(high);
  to[3 * pitch] = sm_sxtb16_ror8(high);
}

/* Pairs of positions of four channels that become columns of a tile: of each of some lines, from a
 * and b on. Steps are in bytes. */
typedef struct {
  const int8_t *a, *b;
  uint32_t *to;
  int32_t a_step, b_step; /* from one line to the next */
  int32_t lines, columns; /* at least 1 */
  int32_t step, to_step;  /* from the end of a column to the next one */
} sm_depthwise_columns;

static SM_PART void sm_depthwise_fill(const sm_depthwise_columns *columns) {
#if SM_HAS_DSP && defined(__thumb2__)
  const sm_depthwise_columns *at = columns;
  /* r0 to r8: what was given; r9 lines left, in twos; r10 to r12 and lr: values. */
#define SM_LINE                                                                                    \
  "ldr r10, [r0]\n\t"                                                                              \
  "ldr r11, [r1]\n\t"                                                                              \
  "add r0, r3\n\t"                                                                                 \
  "add r1, r4\n\t"                                                                                 \
  "pkhbt r12, r10, r11, lsl #16\n\t"                                                               \
  "pkhtb lr, r11, r10, asr #16\n\t"                                                                \
  "sxtb16 r10, r12\n\t"                                                                            \
  "sxtb16 r11, r12, ror #8\n\t"                                                                    \
  "sxtb16 r12, lr\n\t"                                                                             \
  "sxtb16 lr, lr, ror #8\n\t"                                                                      \
  "str r10, [r2], #16\n\t"                                                                         \
  "str r11, [r2, #-12]\n\t"                                                                        \
  "str r12, [r2, #-8]\n\t"                                                                         \
  "str lr, [r2, #-4]\n\t"
  __asm__ volatile("push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */
                   "ldm %[at], {r0-r8}\n\t"
                   "1:\n\t"
                   "lsrs r9, r5, #1\n\t"
                   "bcc 2f\n\t" SM_LINE "beq 3f\n\t"
                   "2:\n\t" SM_LINE SM_LINE "subs r9, r9, #1\n\t"
                   "bne 2b\n\t"
                   "3:\n\t"
                   "add r0, r7\n\t"
                   "add r1, r7\n\t"
                   "add r2, r8\n\t"
                   "subs r6, r6, #1\n\t"
                   "bne 1b\n\t"
                   "pop {r7, r11}"
                   : [at] "+r"(at)
                   :
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc",
                     "memory");
#undef SM_LINE
#else
  const int8_t *a = columns->a, *b = columns->b;
  uint32_t *to = columns->to;
  for (int32_t j = 0; j < columns->columns; ++j, to += columns->to_step / 4) {
    for (int32_t i = 0; i < columns->lines; ++i, to += 4) {
      sm_depthwise_pair(to, 1, sm_load32(a), sm_load32(b));
      a += columns->a_step;
      b += columns->b_step;
    }
    a += columns->step;
    b += columns->step;
  }
#endif
}

/* Words of four outputs to where they belong: pairs of each of some lines. Steps are in bytes. */
typedef struct {
  const uint32_t *from;
  int8_t *to;
  int32_t step, line_step; /* from one output of a pair, or line, to the next */
  int32_t lines, pairs;    /* at least 1 */
  int32_t from_back, back; /* from the end of a pair to the next one */
} sm_depthwise_outputs;

static SM_PART void sm_depthwise_copy(const sm_depthwise_outputs *outputs) {
#if SM_HAS_DSP && defined(__thumb2__)
  const sm_depthwise_outputs *at = outputs;
  /* r0 to r7: what was given; r8 lines left, in twos; r9 to r12: outputs. */
  __asm__ volatile("push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */
                   "ldm %[at], {r0-r7}\n\t"
                   "1:\n\t"
                   "lsrs r8, r4, #1\n\t"
                   "bcc 2f\n\t"
                   "ldrd r9, r10, [r0], #8\n\t"
                   "str r9, [r1]\n\t"
                   "str r10, [r1, r2]\n\t"
                   "add r1, r3\n\t"
                   "beq 3f\n\t"
                   "2:\n\t"
                   "ldm r0!, {r9-r12}\n\t"
                   "str r9, [r1]\n\t"
                   "str r10, [r1, r2]\n\t"
                   "add r1, r3\n\t"
                   "str r11, [r1]\n\t"
                   "str r12, [r1, r2]\n\t"
                   "add r1, r3\n\t"
                   "subs r8, r8, #1\n\t"
                   "bne 2b\n\t"
                   "3:\n\t"
                   "add r0, r6\n\t"
                   "add r1, r7\n\t"
                   "subs r5, r5, #1\n\t"
                   "bne 1b\n\t"
                   "pop {r7, r11}"
                   : [at] "+r"(at)
                   :
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "cc",
                     "memory");
#else
  const uint8_t *from = (const uint8_t *)outputs->from;
  int8_t *to = outputs->to;
  for (int32_t j = 0; j < outputs->pairs; ++j, from += outputs->from_back, to += outputs->back) {
    for (int32_t i = 0; i < outputs->lines; ++i, from += 8, to += outputs->line_step) {
      memcpy(to, from, 4);
      memcpy(to + outputs->step, from + 4, 4);
    }
  }
#endif
}

/* Four words at a time. */
static SM_PART void sm_depthwise_move(uint32_t *to, const uint32_t *from, int32_t fours) {
  do {
    const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
    from += 4;
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
    to += 4;
  } while (--fours > 0);
}

#endif
