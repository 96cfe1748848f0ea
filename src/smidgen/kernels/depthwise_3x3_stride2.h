/* The core of depthwise 3x3 windows with stride 2. */
#ifndef SM_DEPTHWISE_3X3_STRIDE2_H
#define SM_DEPTHWISE_3X3_STRIDE2_H

#include "depthwise_3x3.h"

/* A tile has 9 lines, so that every offset in it is a literal: a word's neighbour in its line is
 * 144 bytes away. It makes up to 4 lines of outputs.
 *
 * A pair of outputs of a line takes three words, (x0, x1), (x2, x3) and (x4, x5), of three lines.
 * The weights of line i are ui = (w0, w1) and w2; those last are two words, v = (w2 of line 0, w2
 * of line 1) and t = (w2 of line 2, 0): first:  ui . (x0, x1) + w2 * x2      second:  ui . (x2, x3)
 * + w2 * x4 */
#if SM_HAS_DSP && defined(__thumb2__)
/* u0, u1 and u2 are in r8, r9 and r10, v in r11, t in r12. A block makes two lines from five lines
 * of values: words in r2, r3 and lr, sums of the first line in r4 and r5, of the second in r6 and
 * r7. */
/* clang-format off */
#define SM_WORDS(x, y, z)                                                                          \
  "ldr.w r2, [r0, #" x "]\n\t"                                                                     \
  "ldr.w r3, [r0, #" y "]\n\t"                                                                     \
  "ldr.w lr, [r0, #" z "]\n\t"
#define SM_MACS(a, b, from_a, from_b, u, half, w)                                                  \
  "smlad " a ", r2, " u ", " from_a "\n\t"                                                         \
  "smlad " b ", r3, " u ", " from_b "\n\t"                                                         \
  "smlab" half " " a ", r3, " w ", " a "\n\t"                                                      \
  "smlab" half " " b ", lr, " w ", " b "\n\t"
#define SM_BLOCK(outputs, x0, y0, z0, x1, y1, z1, x2, y2, z2, x3, y3, z3, x4, y4, z4, at0, at1,    \
                 at2, at3)                                                                         \
  SM_WORDS(x0, y0, z0)                                                                             \
  "ldr.w r5, [sp, #0]\n\t"                                                                         \
  SM_MACS("r4", "r5", "r5", "r5", "r8", "b", "r11")                                                \
  SM_WORDS(x1, y1, z1)                                                                             \
  "ldr.w r7, [sp, #0]\n\t"                                                                         \
  SM_MACS("r4", "r5", "r4", "r5", "r9", "t", "r11")                                                \
  SM_WORDS(x2, y2, z2)                                                                             \
  SM_MACS("r4", "r5", "r4", "r5", "r10", "b", "r12")                                               \
  SM_MACS("r6", "r7", "r7", "r7", "r8", "b", "r11")                                                \
  SM_WORDS(x3, y3, z3)                                                                             \
  SM_MACS("r6", "r7", "r6", "r7", "r9", "t", "r11")                                                \
  SM_WORDS(x4, y4, z4)                                                                             \
  SM_MACS("r6", "r7", "r6", "r7", "r10", "b", "r12")                                               \
  outputs("r2", "r3", "r4", "r5", "r6", "r7", at0, at1, at2, at3)
#define SM_BLOCKS(outputs)                                                                         \
  SM_BLOCK(outputs, "0", "144", "288", "16", "160", "304", "32", "176", "320", "48", "192", "336", \
           "64", "208", "352", "0", "4", "8", "12")                                                \
  SM_BLOCK(outputs, "64", "208", "352", "80", "224", "368", "96", "240", "384", "112", "256",      \
           "400", "128", "272", "416", "16", "20", "24", "28")
#define SM_LAST(outputs)                                                                           \
  SM_WORDS("128", "272", "416")                                                                    \
  "ldr.w r5, [sp, #0]\n\t"                                                                         \
  SM_MACS("r4", "r5", "r5", "r5", "r8", "b", "r11")                                                \
  SM_WORDS("144", "288", "432")                                                                    \
  SM_MACS("r4", "r5", "r4", "r5", "r9", "t", "r11")                                                \
  SM_WORDS("160", "304", "448")                                                                    \
  SM_MACS("r4", "r5", "r4", "r5", "r10", "b", "r12")                                               \
  outputs("r2", "r3", "r4", "r5", "32", "36")
/* clang-format on */

static SM_PART __attribute__((aligned(4))) void
sm_depthwise_3x3_stride2(const sm_depthwise_call *call, const sm_depthwise_dsp_params *p) {
  const sm_depthwise_call *at = call;
  (void)p;
  __asm__ volatile(SM_DEPTHWISE_3X3(SM_BLOCKS(SM_OUTPUTS_4), SM_LAST(SM_OUTPUTS_2), "", "2", "216",
                                    "6", "4", "288", "32", SM_WEIGHTS_5)
                   : [at] "+r"(at)
                   :
                   : SM_DEPTHWISE_3X3_CLOBBERS);
}

static SM_PART __attribute__((aligned(4))) void
sm_depthwise_3x3_stride2_exact(const sm_depthwise_call *call, const sm_depthwise_dsp_params *p) {
  const sm_depthwise_call *at = call;
  (void)p;
  __asm__ volatile(SM_DEPTHWISE_3X3(SM_BLOCKS(SM_EXACT_4), SM_LAST(SM_EXACT_2), SM_EXACT_CHANNEL,
                                    "2", "264", "6", "4", "288", "32", SM_WEIGHTS_5)
                   : [at] "+r"(at)
                   :
                   : SM_DEPTHWISE_3X3_CLOBBERS);
}
#undef SM_WORDS
#undef SM_MACS
#undef SM_BLOCK
#undef SM_BLOCKS
#undef SM_LAST

#else
static inline void sm_depthwise_3x3_stride2(const sm_depthwise_call *call,
                                            const sm_depthwise_dsp_params *p) {
  for (int32_t channel = 0; channel < call->channels; ++channel) {
    const uint32_t *w = call->weights + channel;
    for (int32_t pair = 0; pair < call->pairs; ++pair) {
      const uint32_t *x = call->tile + 72 * pair + channel;
      int8_t *out = call->out + 32 * pair + channel;
      for (int32_t line = 0; line < call->lines; ++line, x += 8, out += 8) {
        int32_t a = call->factors[2 * channel], b = a;
        for (int32_t i = 0; i < 3; ++i) {
          const uint32_t x0 = x[4 * i], x2 = x[4 * i + 36], x4 = x[4 * i + 72];
          const uint32_t w2 = i == 1 ? w[12] >> 16 : w[12 + 2 * i];
          a = sm_smlabb(x2, w2, sm_smlad(x0, w[4 * i], a));
          b = sm_smlabb(x4, w2, sm_smlad(x2, w[4 * i], b));
        }
        out[0] = (int8_t)sm_depthwise_output(call, p->exact, channel, a);
        out[4] = (int8_t)sm_depthwise_output(call, p->exact, channel, b);
      }
    }
  }
}

static inline void sm_depthwise_3x3_stride2_exact(const sm_depthwise_call *call,
                                                  const sm_depthwise_dsp_params *p) {
  sm_depthwise_3x3_stride2(call, p);
}
#endif

#endif
