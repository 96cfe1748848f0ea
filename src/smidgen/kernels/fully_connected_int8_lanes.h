/* FULLY_CONNECTED, int8, for cores without SIMD: four outputs in three words.
 *
 * A word w = a + 2^8 b + 2^16 c + 2^24 d holds the weights of four outputs for one input. Times the
 * input, w, b + 2^16 d and c + 2^8 d add to sums P, Q and R, modulo 2^32, from which
 *
 *   P - 2^8 Q - 2^16 R = A - 2^24 D,  Q = B + 2^16 D,  R = C + 2^8 D
 *
 * give the sums A to D of 24 bits as in lanes.h. */
#ifndef SM_FULLY_CONNECTED_INT8_LANES_H
#define SM_FULLY_CONNECTED_INT8_LANES_H

#include "common.h"
#include "lanes.h"
#include "requantize_short.h"
#include "thumb1.h"

/* The input is (rows, in_c), the output (rows, out_c). weights: (groups of four outputs, in_c), a
 * byte for each output with 128 added; the magnitudes of an output's, times 128, sum up to less
 * than 2^23. Outputs are filled up to fours. The input's zero point is folded into addends. */
typedef struct {
  int32_t rows, in_c, out_c;
  int32_t scale_step; /* 1: a multiplier (and shift) for each output; 0: one for all */
  int32_t output_offset;
  int32_t act_min, act_max;
  int32_t shift; /* of lines */
  const int32_t *multiplier;
  const int32_t *addend; /* for each output: of its line, or without lines the bias */
  const int8_t *shifts;  /* as multipliers, or NULL where there are lines */
  const uint32_t *weights;
} sm_fully_connected_int8_lanes_params;

#if SM_HAS_THUMB1
#define SM_FC_STEP                                                                                 \
  "ldmia r1!, {r4}\n\t"                                                                            \
  "ldrsb r6, [r0, r2]\n\t"                                                                         \
  "lsrs r5, r4, #8\n\t"                                                                            \
  "ands r5, r3\n\t"                                                                                \
  "muls r5, r6\n\t"                                                                                \
  "add r9, r5\n\t"                                                                                 \
  "lsrs r5, r4, #16\n\t"                                                                           \
  "muls r5, r6\n\t"                                                                                \
  "add r10, r5\n\t"                                                                                \
  "muls r4, r6\n\t"                                                                                \
  "add r8, r4\n\t"                                                                                 \
  "adds r2, #1\n\t"
/* Adds n products to P, Q and R; n is a multiple of 4. It saves the registers that it does not
 * return, so that a compiler has to spare none. */
static SM_PART void sm_fully_connected_int8_lanes_fours(const int8_t *x, const uint32_t *weights,
                                                        int32_t n, sm_lanes *sums) {
  register const int8_t *r0 __asm__("r0") = x + n;
  register const uint32_t *r1 __asm__("r1") = weights;
  register int32_t r2 __asm__("r2") = -n;
  register sm_lanes *r3 __asm__("r3") = sums;
  __asm__ volatile(".syntax unified\n\t"
                   "push {r4, r5, r6, r7}\n\t"
                   "mov r4, r8\n\t"
                   "mov r5, r9\n\t"
                   "mov r6, r10\n\t"
                   "push {r3, r4, r5, r6}\n\t"
                   "ldmia r3!, {r4, r5, r6}\n\t"
                   "mov r8, r4\n\t"
                   "mov r9, r5\n\t"
                   "mov r10, r6\n\t"
                   "movs r3, #255\n\t"
                   "lsls r4, r3, #16\n\t"
                   "adds r3, r3, r4\n"
                   "1:\n\t" SM_FC_STEP SM_FC_STEP SM_FC_STEP SM_FC_STEP "bne 1b\n\t"
                   "mov r5, r8\n\t"
                   "mov r6, r9\n\t"
                   "mov r7, r10\n\t"
                   "pop {r4}\n\t"
                   "stmia r4!, {r5, r6, r7}\n\t"
                   "pop {r4, r5, r6}\n\t"
                   "mov r8, r4\n\t"
                   "mov r9, r5\n\t"
                   "mov r10, r6\n\t"
                   "pop {r4, r5, r6, r7}\n\t"
                   : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
                   :
                   : "cc", "memory");
}
#undef SM_FC_STEP
#endif

/* One input times the weights of four outputs. */
static inline void sm_fully_connected_int8_lanes_add(sm_lanes *sums, int8_t x, uint32_t weights) {
  const uint32_t v = (uint32_t)x;
  sums->one += weights * v;
  sums->two += ((weights >> 8) & 0x00ff00ffu) * v;
  sums->three += (weights >> 16) * v;
}

/* The sums P, Q and R of n products, n 1 or more. */
static inline sm_lanes sm_fully_connected_int8_lanes_dot(const int8_t *x, const uint32_t *weights,
                                                         int32_t n, sm_lanes sums) {
  const int8_t *const end = x + n, *const fours = x + (n & ~3);
#if SM_HAS_THUMB1
  if (x != fours) {
    sm_fully_connected_int8_lanes_fours(x, weights, n & ~3, &sums);
    weights += n & ~3;
    x = fours;
  }
#else
  for (; x != fours; x += 4, weights += 4) {
    sm_fully_connected_int8_lanes_add(&sums, x[0], weights[0]);
    sm_fully_connected_int8_lanes_add(&sums, x[1], weights[1]);
    sm_fully_connected_int8_lanes_add(&sums, x[2], weights[2]);
    sm_fully_connected_int8_lanes_add(&sums, x[3], weights[3]);
  }
#endif
  for (; x != end; ++x, ++weights) {
    sm_fully_connected_int8_lanes_add(&sums, *x, *weights);
  }
  return sums;
}

/* Up to four outputs from their sums. */
static SM_PART void
sm_fully_connected_int8_lanes_outputs(const sm_fully_connected_int8_lanes_params *p,
                                      const int32_t *sums, int32_t first, int32_t n, int8_t *out) {
  const int32_t low = p->act_min, high = p->act_max, step = p->scale_step;
  const int32_t *multiplier = p->multiplier + first * step, *addend = p->addend + first;
  if (p->shifts) {
    const int8_t *shift = p->shifts + first * step;
    for (; n > 0; --n, multiplier += step, shift += step) {
      const int32_t scaled = sm_requantize(*sums++ + *addend++, *multiplier, *shift);
      *out++ = (int8_t)sm_clamp(scaled + p->output_offset, low, high);
    }
  } else {
    const int32_t shift = p->shift;
    for (; n > 0; --n, multiplier += step) {
      const sm_line line = {*multiplier, *addend++};
      *out++ = sm_on_line(*sums++, &line, shift, low, high);
    }
  }
}

/* Every output needs its whole input row: the output must not overlap the input. */
SM_KERNEL void sm_fully_connected_int8_lanes(const sm_fully_connected_int8_lanes_params *p,
                                             const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row, input += p->in_c, output += p->out_c) {
    const uint32_t *weights = p->weights;
    int32_t total = 0;
    for (int32_t i = 0; i < p->in_c; ++i) {
      total += input[i];
    }
    const uint32_t start = 0u - 128u * (uint32_t)total; /* of each output */
    const sm_lanes none = {start * 0x01010101u, start * 0x00010001u, start * 0x00000101u};
    for (int32_t oc = 0; oc < p->out_c; oc += 4, weights += p->in_c) {
      sm_lanes sums = sm_fully_connected_int8_lanes_dot(input, weights, p->in_c, none);
      /* D with its sign turned where lanes.h has it: turn A's as well, and back. */
      sums.one = (sums.two << 8) + (sums.three << 16) - sums.one;
      int32_t apart[4];
      sm_lanes_apart(sums, apart);
      apart[0] = -apart[0];
      const int32_t n = p->out_c - oc < 4 ? p->out_c - oc : 4;
      sm_fully_connected_int8_lanes_outputs(p, apart, oc, n, output + oc);
    }
  }
}

#endif
