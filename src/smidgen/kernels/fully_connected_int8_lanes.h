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
/* Four outputs: a word of weights at `at` times the input in r6. */
#define SM_FC_FOUR(at, one, two, three)                                                            \
  "ldmia " at "!, {r4}\n\t"                                                                        \
  "lsrs r5, r4, #8\n\t"                                                                            \
  "ands r5, r3\n\t"                                                                                \
  "muls r5, r6\n\t"                                                                                \
  "add " two ", r5\n\t"                                                                            \
  "lsrs r5, r4, #16\n\t"                                                                           \
  "muls r5, r6\n\t"                                                                                \
  "add " three ", r5\n\t"                                                                          \
  "muls r4, r6\n\t"                                                                                \
  "add " one ", r4\n\t"
#define SM_FC_STEP                                                                                 \
  "ldrsb r6, [r0, r2]\n\t" SM_FC_FOUR("r1", "r8", "r9", "r10")                                     \
      SM_FC_FOUR("r7", "r11", "r12", "lr") "adds r2, #1\n\t"

/* What the code below takes, by offsets. */
typedef struct {
  const int8_t *behind; /* the n inputs */
  const uint32_t *weights;
  int32_t minus_n;
  const uint32_t *second;
  sm_lanes *sums;
} sm_fully_connected_int8_lanes_run;

/* Adds n products to two times P, Q and R; n is a multiple of 4 and not 0. It saves the registers
 * that it does not return, so that a compiler has to spare none. */
static SM_PART void
sm_fully_connected_int8_lanes_fours(const sm_fully_connected_int8_lanes_run *run) {
  register const sm_fully_connected_int8_lanes_run *r0 __asm__("r0") = run;
  __asm__ volatile(".syntax unified\n\t"
                   "push {r4, r5, r6, r7}\n\t"
                   "mov r4, r8\n\t"
                   "mov r5, r9\n\t"
                   "mov r6, r10\n\t"
                   "mov r7, r11\n\t"
                   "push {r4, r5, r6, r7}\n\t"
                   "ldr r3, [r0, #16]\n\t" /* sums */
                   "push {r3}\n\t"
                   "ldmia r3!, {r4, r5, r6}\n\t"
                   "mov r8, r4\n\t"
                   "mov r9, r5\n\t"
                   "mov r10, r6\n\t"
                   "ldmia r3!, {r4, r5, r6}\n\t"
                   "mov r11, r4\n\t"
                   "mov r12, r5\n\t"
                   "mov lr, r6\n\t"
                   "movs r3, #255\n\t"
                   "lsls r4, r3, #16\n\t"
                   "adds r3, r3, r4\n\t"
                   "ldr r1, [r0, #4]\n\t"  /* weights */
                   "ldr r2, [r0, #8]\n\t"  /* minus_n */
                   "ldr r7, [r0, #12]\n\t" /* second */
                   "ldr r0, [r0]\n"        /* behind */
                   "1:\n\t" SM_FC_STEP SM_FC_STEP SM_FC_STEP SM_FC_STEP "bne 1b\n\t"
                   "pop {r3}\n\t"
                   "mov r4, r8\n\t"
                   "mov r5, r9\n\t"
                   "mov r6, r10\n\t"
                   "stmia r3!, {r4, r5, r6}\n\t"
                   "mov r4, r11\n\t"
                   "mov r5, r12\n\t"
                   "mov r6, lr\n\t"
                   "stmia r3!, {r4, r5, r6}\n\t"
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
#undef SM_FC_STEP
#undef SM_FC_FOUR
#endif

/* One input times the weights of four outputs. */
static inline sm_lanes sm_fully_connected_int8_lanes_add(sm_lanes sums, int8_t x,
                                                         uint32_t weights) {
  const uint32_t v = (uint32_t)x;
  sums.one += weights * v;
  sums.two += ((weights >> 8) & 0x00ff00ffu) * v;
  sums.three += (weights >> 16) * v;
  return sums;
}

/* Adds n products, 1 or more, to P, Q and R of two groups of four outputs, which share the loads of
 * inputs. */
static inline void sm_fully_connected_int8_lanes_dot(const int8_t *x, const uint32_t *weights,
                                                     const uint32_t *second, int32_t n,
                                                     sm_lanes sums[2]) {
#if SM_HAS_THUMB1
  const int32_t fours = n & ~3;
  if (fours) {
    const sm_fully_connected_int8_lanes_run run = {x + fours, weights, -fours, second, sums};
    sm_fully_connected_int8_lanes_fours(&run);
    x += fours;
    weights += fours;
    second += fours;
    n -= fours;
  }
#endif
  sm_lanes a = sums[0], b = sums[1];
  for (; n >= 2; n -= 2, x += 2, weights += 2, second += 2) {
    a = sm_fully_connected_int8_lanes_add(a, x[0], weights[0]);
    b = sm_fully_connected_int8_lanes_add(b, x[0], second[0]);
    a = sm_fully_connected_int8_lanes_add(a, x[1], weights[1]);
    b = sm_fully_connected_int8_lanes_add(b, x[1], second[1]);
  }
  if (n > 0) {
    a = sm_fully_connected_int8_lanes_add(a, *x, *weights);
    b = sm_fully_connected_int8_lanes_add(b, *x, *second);
  }
  sums[0] = a;
  sums[1] = b;
}

/* Up to four outputs from P, Q and R. */
static SM_PART void
sm_fully_connected_int8_lanes_outputs(const sm_fully_connected_int8_lanes_params *p,
                                      sm_lanes together, int32_t first, int8_t *out) {
  /* D with its sign turned where lanes.h has it: turn A's as well, and back. */
  together.one = (together.two << 8) + (together.three << 16) - together.one;
  int32_t apart[4];
  sm_lanes_apart(together, apart);
  apart[0] = -apart[0];
  const int32_t *sums = apart;
  int32_t n = p->out_c - first < 4 ? p->out_c - first : 4;
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
    for (int32_t oc = 0; oc < p->out_c; oc += 8) {
      const int32_t two = oc + 4 < p->out_c;
      const uint32_t *const second = two ? weights + p->in_c : weights;
      sm_lanes sums[2] = {none, none};
      sm_fully_connected_int8_lanes_dot(input, weights, second, p->in_c, sums);
      sm_fully_connected_int8_lanes_outputs(p, sums[0], oc, output + oc);
      if (two) {
        sm_fully_connected_int8_lanes_outputs(p, sums[1], oc + 4, output + oc + 4);
      }
      weights = second + p->in_c;
    }
  }
}

#endif
