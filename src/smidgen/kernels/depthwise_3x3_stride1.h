/* The core of depthwise 3x3 windows with stride 1. */
#ifndef SM_DEPTHWISE_3X3_STRIDE1_H
#define SM_DEPTHWISE_3X3_STRIDE1_H

#include "depthwise_3x3.h"

/* A tile has 8 lines, so that every offset in it is a literal: a word's neighbour in its line is
 * 128 bytes away. It makes up to 6 lines of outputs.
 *
 * A pair of outputs of a line takes two words, (x0, x1) and (x2, x3), of three lines. The weights
 * of one line are two words, u = (w0, w1) and v = (w1, w2):
 *   first:  u . (x0, x1) + v's high * x2      second:  u's low * x1 + v . (x2, x3) */
#if SM_HAS_DSP && defined(__thumb2__)
/* u and v of the three lines are in r8 and r9, r10 and r11, r12 and lr. A block makes two lines
 * from four lines of values. Loads that follow each other are cheaper: two lines of words come at
 * once, in r2, r3, r6 and r7, and sums take the place of words that are used up: those of the first
 * line are in r4 and r2, those of the second in r3 and r5, which held the addend. */
/* clang-format off */
#define SM_WORDS(near, far)                                                                        \
  "ldr.w r6, [r0, #" near "]\n\t"                                                                  \
  "ldr.w r7, [r0, #" far "]\n\t"
#define SM_MACS(a, b, u, v)                                                                        \
  "smlad " a ", r6, " u ", " a "\n\t"                                                              \
  "smlatb " b ", r6, " u ", " b "\n\t"                                                             \
  "smlabt " a ", r7, " v ", " a "\n\t"                                                             \
  "smlad " b ", r7, " v ", " b "\n\t"
/* The first of three lines of each line of outputs. */
#define SM_FIRST                                                                                   \
  "smlad r4, r2, r8, r5\n\t"                                                                       \
  "smlatb r2, r2, r8, r5\n\t"                                                                      \
  "smlabt r4, r3, r9, r4\n\t"                                                                      \
  "smlad r2, r3, r9, r2\n\t"
#define SM_SECOND                                                                                  \
  "smlad r3, r6, r8, r5\n\t"                                                                       \
  "smlatb r5, r6, r8, r5\n\t"                                                                      \
  "smlabt r3, r7, r9, r3\n\t"                                                                      \
  "smlad r5, r7, r9, r5\n\t"
#define SM_BEGIN(n0, f0, n1, f1)                                                                   \
  "ldr.w r2, [r0, #" n0 "]\n\t"                                                                    \
  "ldr.w r3, [r0, #" f0 "]\n\t"                                                                    \
  "ldr.w r5, [sp, #0]\n\t"                                                                         \
  SM_WORDS(n1, f1)                                                                                 \
  SM_FIRST                                                                                         \
  SM_MACS("r4", "r2", "r10", "r11")
#define SM_BLOCK(outputs, n0, f0, n1, f1, n2, f2, n3, f3, at0, at1, at2, at3)                      \
  SM_BEGIN(n0, f0, n1, f1)                                                                         \
  SM_SECOND                                                                                        \
  SM_WORDS(n2, f2)                                                                                 \
  SM_MACS("r4", "r2", "r12", "lr")                                                                 \
  SM_MACS("r3", "r5", "r10", "r11")                                                                \
  SM_WORDS(n3, f3)                                                                                 \
  SM_MACS("r3", "r5", "r12", "lr")                                                                 \
  outputs("r6", "r7", "r4", "r2", "r3", "r5", at0, at1, at2, at3)
#define SM_BLOCKS(outputs)                                                                         \
  SM_BLOCK(outputs, "0", "128", "16", "144", "32", "160", "48", "176", "0", "4", "8", "12")        \
  SM_BLOCK(outputs, "32", "160", "48", "176", "64", "192", "80", "208", "16", "20", "24", "28")    \
  SM_BLOCK(outputs, "64", "192", "80", "208", "96", "224", "112", "240", "32", "36", "40", "44")
#define SM_LAST(outputs)                                                                           \
  SM_BEGIN("96", "224", "112", "240")                                                              \
  SM_WORDS("128", "256")                                                                           \
  SM_MACS("r4", "r2", "r12", "lr")                                                                 \
  outputs("r6", "r7", "r4", "r2", "48", "52")
/* clang-format on */

static SM_PART __attribute__((aligned(4))) void sm_depthwise_3x3(const sm_depthwise_call *call,
                                                                 const sm_depthwise_dsp_params *p) {
  const sm_depthwise_call *at = call;
  (void)p;
  __asm__ volatile(SM_DEPTHWISE_3X3(SM_BLOCKS(SM_OUTPUTS_4), SM_LAST(SM_OUTPUTS_2), "", "3", "184",
                                    "5", "4", "128", "48", SM_WEIGHTS_6)
                   : [at] "+r"(at)
                   :
                   : SM_DEPTHWISE_3X3_CLOBBERS);
}

static SM_PART __attribute__((aligned(4))) void
sm_depthwise_3x3_exact(const sm_depthwise_call *call, const sm_depthwise_dsp_params *p) {
  const sm_depthwise_call *at = call;
  (void)p;
  __asm__ volatile(SM_DEPTHWISE_3X3(SM_BLOCKS(SM_EXACT_4), SM_LAST(SM_EXACT_2), SM_EXACT_CHANNEL,
                                    "3", "232", "5", "4", "128", "48", SM_WEIGHTS_6)
                   : [at] "+r"(at)
                   :
                   : SM_DEPTHWISE_3X3_CLOBBERS);
}
#undef SM_WORDS
#undef SM_MACS
#undef SM_FIRST
#undef SM_SECOND
#undef SM_BEGIN
#undef SM_BLOCK
#undef SM_BLOCKS
#undef SM_LAST

#else
static inline void sm_depthwise_3x3(const sm_depthwise_call *call,
                                    const sm_depthwise_dsp_params *p) {
  for (int32_t channel = 0; channel < call->channels; ++channel) {
    const uint32_t *w = call->weights + channel;
    for (int32_t pair = 0; pair < call->pairs; ++pair) {
      const uint32_t *x = call->tile + 32 * pair + channel;
      int8_t *out = call->out + 48 * pair + channel;
      for (int32_t line = 0; line < call->lines; ++line, x += 4, out += 8) {
        int32_t a = call->factors[2 * channel], b = a;
        for (int32_t i = 0; i < 3; ++i) {
          const uint32_t near = x[4 * i], far = x[4 * i + 32];
          const uint32_t u = w[8 * i], v = w[8 * i + 4];
          a = sm_smlabt(far, v, sm_smlad(near, u, a));
          b = sm_smlad(far, v, sm_smlatb(near, u, b));
        }
        out[0] = (int8_t)sm_depthwise_output(call, p->exact, channel, a);
        out[4] = (int8_t)sm_depthwise_output(call, p->exact, channel, b);
      }
    }
  }
}

static inline void sm_depthwise_3x3_exact(const sm_depthwise_call *call,
                                          const sm_depthwise_dsp_params *p) {
  sm_depthwise_3x3(call, p);
}
#endif

#endif
