/* DEPTHWISE_CONV_2D, int8, for cores with DSP instructions: 3x3 windows, stride 1, no dilation,
 * depth multiplier 1. */
#ifndef SM_DEPTHWISE_CONV_2D_INT8_3X3_H
#define SM_DEPTHWISE_CONV_2D_INT8_3X3_H

#include "depthwise_dsp.h"

/* A tile has 8 lines, so that every offset in it is a literal: a word's neighbour in its line is
 * 128 bytes away. It makes up to 6 lines of outputs.
 *
 * A pair of outputs of a line takes two words, (x0, x1) and (x2, x3), of three lines. The weights
 * of one line are two words, u = (w0, w1) and v = (w1, w2): first:  u . (x0, x1) + v's high * x2
 * second:  u's low * x1 + v . (x2, x3) A block makes such pairs of two lines, from four lines of
 * values. */
#define SM_DEPTHWISE_3X3_LINES 8

#if SM_HAS_DSP && defined(__thumb2__)
/* Registers: r0 values, r1 outputs; r2 and r3 two words; sums of the first line in r4 and r5, of
 * the second in r6 and r7; u and v of the three lines in r8 to r12 and lr. Every instruction is
 * wide, because blocks are jumped to by their number. */
#define SM_WORDS(near, far)                                                                        \
  "ldr.w r2, [r0, #" near "]\n\t"                                                                  \
  "ldr.w r3, [r0, #" far "]\n\t"
#define SM_MACS(a, b, from_a, from_b, u, v)                                                        \
  "smlad " a ", r2, " u ", " from_a "\n\t"                                                         \
  "smlatb " b ", r2, " u ", " from_b "\n\t"                                                        \
  "smlabt " a ", r3, " v ", " a "\n\t"                                                             \
  "smlad " b ", r3, " v ", " b "\n\t"
#define SM_LINE_1(a) "smmul " a ", " a ", r2\n\t"
#define SM_LINE_2(a) "ssat " a ", #8, " a ", asr #12\n\t"
#define SM_STORE(a, at) "strb.w " a ", [r1, #" at "]\n\t"
#define SM_BLOCK_BYTES "188"
/* near and far: offsets of four lines; at: of four outputs. */
#define SM_BLOCK(n0, f0, n1, f1, n2, f2, n3, f3, at0, at1, at2, at3)                               \
  SM_WORDS(n0, f0)                                                                                 \
  "ldr.w r5, [sp, #0]\n\t"                                                                         \
  "ldr.w r7, [sp, #0]\n\t" SM_MACS("r4", "r5", "r5", "r5", "r8", "r9") SM_WORDS(n1, f1)            \
      SM_MACS("r4", "r5", "r4", "r5", "r10", "r11") SM_MACS("r6", "r7", "r7", "r7", "r8", "r9")    \
          SM_WORDS(n2, f2) SM_MACS("r4", "r5", "r4", "r5", "r12", "lr")                            \
              SM_MACS("r6", "r7", "r6", "r7", "r10", "r11") SM_WORDS(n3, f3) SM_MACS(              \
                  "r6", "r7", "r6", "r7", "r12", "lr") "ldr.w r2, [sp, #4]\n\t" SM_LINE_1("r4")    \
                  SM_LINE_1("r5") SM_LINE_1("r6") SM_LINE_1("r7") SM_LINE_2("r4") SM_LINE_2("r5")  \
                      SM_LINE_2("r6") SM_LINE_2("r7") SM_STORE("r4", at0) SM_STORE("r5", at1)      \
                          SM_STORE("r6", at2) SM_STORE("r7", at3)

/* Columns of assembly, which would be folded. */
/* clang-format off */
static SM_PART __attribute__((aligned(4))) void sm_depthwise_3x3(const sm_depthwise_call *call, const sm_depthwise_dsp_params *p) {
  const sm_depthwise_call *at = call;
  (void)p;
  __asm__ volatile(
      "push {r7, r11}\n\t" /* frame pointers, which cannot be named as clobbered */
      "ldm %[at], {r0-r6}\n\t"
      /* Frame: 0 addend, 4 multiplier, 8 end of the channel's outputs, 12 where a pair begins, 16 its
       * first block, 20 channels left, 24 values, 28 outputs, 32 weights, 36 factors. */
      "sub sp, #40\n\t"
      "str r4, [sp, #20]\n\t"
      "strd r2, r3, [sp, #32]\n\t"
      /* Blocks end with the third: fewer lines start later, pointers are moved down by as much. */
      "lsrs r2, r5, #1\n\t"
      "rsb r2, r2, #3\n\t"
      "sub r0, r0, r2, lsl #5\n\t"
      "sub r1, r1, r2, lsl #4\n\t"
      "strd r0, r1, [sp, #24]\n\t"
      "movs r3, #48\n\t"
      "mla r3, r6, r3, r1\n\t"
      "str r3, [sp, #8]\n\t"
      "adr.w r3, 3f\n\t"
      "movs r4, #" SM_BLOCK_BYTES "\n\t"
      "mla r3, r2, r4, r3\n\t"
      "orr r3, r3, #1\n\t"
      "str r3, [sp, #16]\n\t"
      "lsls r5, r5, #31\n\t"
      "itt ne\n\t"
      "adrne.w r3, 2f\n\t"
      "orrne r3, r3, #1\n\t"
      "str r3, [sp, #12]\n\t"
      "1:\n\t" /* a channel */
      "ldrd r2, r3, [sp, #32]\n\t"
      "ldm r2!, {r8-r12, lr}\n\t"
      "ldrd r4, r5, [r3], #8\n\t"
      "strd r2, r3, [sp, #32]\n\t"
      "strd r4, r5, [sp, #0]\n\t"
      "ldr r3, [sp, #12]\n\t"
      "bx r3\n\t"
      "2:\n\t" /* the last line, if their number is odd */
      SM_WORDS("96", "224")
      "ldr.w r5, [sp, #0]\n\t"
      SM_MACS("r4", "r5", "r5", "r5", "r8", "r9")
      SM_WORDS("112", "240")
      SM_MACS("r4", "r5", "r4", "r5", "r10", "r11")
      SM_WORDS("128", "256")
      SM_MACS("r4", "r5", "r4", "r5", "r12", "lr")
      "ldr.w r2, [sp, #4]\n\t"
      SM_LINE_1("r4") SM_LINE_1("r5")
      SM_LINE_2("r4") SM_LINE_2("r5")
      SM_STORE("r4", "48") SM_STORE("r5", "52")
      "ldr r3, [sp, #16]\n\t"
      "bx r3\n\t"
      ".p2align 2\n\t"
      "3:\n\t"
      SM_BLOCK("0", "128", "16", "144", "32", "160", "48", "176", "0", "4", "8", "12")
      SM_BLOCK("32", "160", "48", "176", "64", "192", "80", "208", "16", "20", "24", "28")
      SM_BLOCK("64", "192", "80", "208", "96", "224", "112", "240", "32", "36", "40", "44")
      "ldr r2, [sp, #8]\n\t"
      "ldr r3, [sp, #12]\n\t"
      "adds r0, #128\n\t"
      "adds r1, #48\n\t"
      "cmp r1, r2\n\t"
      "beq 4f\n\t"
      "bx r3\n\t"
      "4:\n\t" /* the next channel */
      "ldrd r0, r1, [sp, #24]\n\t"
      "ldr r4, [sp, #20]\n\t"
      "adds r0, #4\n\t"
      "adds r1, #1\n\t"
      "strd r0, r1, [sp, #24]\n\t"
      "adds r2, #1\n\t"
      "str r2, [sp, #8]\n\t"
      "subs r4, #1\n\t"
      "str r4, [sp, #20]\n\t"
      "bne.w 1b\n\t"
      "add sp, #40\n\t"
      "pop {r7, r11}"
      : [at] "+r"(at)
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}
/* clang-format on */
#undef SM_WORDS
#undef SM_MACS
#undef SM_LINE_1
#undef SM_LINE_2
#undef SM_STORE
#undef SM_BLOCK_BYTES
#undef SM_BLOCK

#else
static inline void sm_depthwise_3x3(const sm_depthwise_call *call,
                                    const sm_depthwise_dsp_params *p) {
  const int32_t far = 4 * SM_DEPTHWISE_3X3_LINES;
  for (int32_t channel = 0; channel < call->channels; ++channel) {
    const uint32_t *w = call->weights + 6 * channel;
    for (int32_t pair = 0; pair < call->pairs; ++pair) {
      const uint32_t *x = call->tile + channel + pair * far;
      int8_t *out = call->out + channel + pair * 48;
      for (int32_t line = 0; line < call->lines; ++line, x += 4, out += 8) {
        int32_t a = call->factors[2 * channel], b = a;
        for (int32_t i = 0; i < 3; ++i) {
          const uint32_t near = x[4 * i], next = x[4 * i + far];
          const uint32_t u = w[2 * i], v = w[2 * i + 1];
          a = sm_smlabt(next, v, sm_smlad(near, u, a));
          b = sm_smlad(next, v, sm_smlatb(near, u, b));
        }
        out[0] = (int8_t)sm_depthwise_output(call, p->exact, channel, a);
        out[4] = (int8_t)sm_depthwise_output(call, p->exact, channel, b);
      }
    }
  }
}
#endif

SM_KERNEL void sm_depthwise_conv_2d_int8_3x3(const sm_depthwise_dsp_params *p, const int8_t *input,
                                             int8_t *output, void *scratch) {
  sm_depthwise_run(p, input, output, scratch, sm_depthwise_3x3);
}

#endif
