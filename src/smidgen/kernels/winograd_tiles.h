/* What surrounds the products of Winograd convolutions: tiles of inputs, and of outputs. */
#ifndef SM_WINOGRAD_TILES_H
#define SM_WINOGRAD_TILES_H

#include "common.h"
#include "dsp.h"

/* B' d B of two tiles, side by side, that share two columns: 4 rows of 6 pixels, in_c bytes each, a
 * multiple of four. values: as winograd_int16.h reads them, the steps (0, 2) and (1, 3) of each
 * four. */
typedef struct {
  uint32_t *values;
  const int8_t *from;
  int32_t stride; /* bytes from row to row */
  int32_t in_c;
} sm_winograd_values_call;

/* A' [sums] A of two tiles to bytes: [tile][pixel][channel], two of four of four.
 * sums: as winograd_int16.h leaves them; factors: addend, multiplier and shift less one for each
 * channel. Four times the sum becomes an output as in gemm_int8_paired.h. */
typedef struct {
  const int32_t *sums;
  const int32_t *factors;
  int8_t *bytes;
  const int32_t *factors_end; /* of one to four channels */
  int32_t half_point;
} sm_winograd_tiles_call;

#if SM_HAS_DSP && defined(__thumb2__)
/* Registers: r0 values, r1 and r2 pixels of two rows, r3 bytes of a pixel, r4 and r5 four values of
 * each; three columns of their mixture, even values in r6 to r8, odd ones in r9 to r11. */
#define SM_MINUS(even, odd)                                                                        \
  "sxtb16 " even ", r4\n\t"                                                                        \
  "sxtb16 r12, r5\n\t"                                                                             \
  "ssub16 " even ", " even ", r12\n\t"                                                             \
  "sxtb16 " odd ", r4, ror #8\n\t"                                                                 \
  "sxtb16 r12, r5, ror #8\n\t"                                                                     \
  "ssub16 " odd ", " odd ", r12\n\t"
#define SM_PLUS(even, odd)                                                                         \
  "sxtb16 " even ", r4\n\t"                                                                        \
  "sxtab16 " even ", " even ", r5\n\t"                                                             \
  "sxtb16 " odd ", r4, ror #8\n\t"                                                                 \
  "sxtab16 " odd ", " odd ", r5, ror #8\n\t"
#define SM_PIXEL                                                                                   \
  "ldr r4, [r1]\n\t"                                                                               \
  "ldr r5, [r2]\n\t"
#define SM_PIXEL_AND_NEXT                                                                          \
  SM_PIXEL                                                                                         \
  "add r1, r3\n\t"                                                                                 \
  "add r2, r3\n\t"
#define SM_PUT(operation, x, y, at)                                                                \
  operation " r12, " x ", " y "\n\t"                                                               \
            "str r12, [r0, #" at "]\n\t"
#define SM_ROW(at, MIX)                                                                            \
  SM_PIXEL_AND_NEXT MIX("r6", "r9") SM_PIXEL_AND_NEXT MIX("r7", "r10") SM_PIXEL_AND_NEXT MIX(      \
      "r8", "r11") SM_PUT("ssub16", "r6", "r8", at "+0") SM_PUT("sadd16", "r7", "r8", at "+8")     \
      SM_PUT("ssub16", "r8", "r7", at "+16") SM_PUT("ssub16", "r9", "r11", at "+128")              \
          SM_PUT("sadd16", "r10", "r11", at "+136") SM_PUT("ssub16", "r11", "r10", at "+144")      \
              SM_PIXEL_AND_NEXT MIX("r6", "r9") SM_PUT("ssub16", "r7", "r6", at "+24")             \
                  SM_PUT("ssub16", "r10", "r9", at "+152") SM_PIXEL_AND_NEXT MIX("r7", "r10")      \
                      SM_PUT("ssub16", "r8", "r7", at "+4") SM_PUT("sadd16", "r6", "r7", at "+12") \
                          SM_PUT("ssub16", "r7", "r6", at "+20")                                   \
                              SM_PUT("ssub16", "r11", "r10", at "+132")                            \
                                  SM_PUT("sadd16", "r9", "r10", at "+140")                         \
                                      SM_PUT("ssub16", "r10", "r9", at "+148")                     \
                                          SM_PIXEL MIX("r8", "r11")                                \
                                              SM_PUT("ssub16", "r6", "r8", at "+28")               \
                                                  SM_PUT("ssub16", "r9", "r11", at "+156")

/* One row of sums: three to a, three to b, of r4 to r7 or the like. */
#define SM_COLUMNS(a, b, c, d)                                                                     \
  "add " a ", " a ", " b "\n\t"                                                                    \
  "add " a ", " a ", " c "\n\t"                                                                    \
  "sub " b ", " b ", " c "\n\t"                                                                    \
  "sub " b ", " b ", " d "\n\t"
#define SM_SUMS(a, b, c, d, at)                                                                    \
  "ldr " a ", [r0, #" at "+0]\n\t"                                                                 \
  "ldr " b ", [r0, #" at "+8]\n\t"                                                                 \
  "ldr " c ", [r0, #" at "+16]\n\t"                                                                \
  "ldr " d ", [r0, #" at "+24]\n\t"
/* Four times the sums of four pixels of a tile in r4 to r7, factors in r8 to r10. */
#define SM_TILE(tile, factors)                                                                     \
  SM_SUMS("r4", "r5", "r8", "r9", tile "+0")                                                       \
  SM_SUMS("r6", "r7", "r10", "r11", tile "+32")                                                    \
  SM_COLUMNS("r4", "r5", "r8", "r9")                                                               \
  SM_COLUMNS("r6", "r7", "r10", "r11")                                                             \
  SM_SUMS("r8", "r9", "r10", "r11", tile "+64")                                                    \
  SM_COLUMNS("r8", "r9", "r10", "r11")                                                             \
  SM_SUMS("r10", "r11", "r12", "lr", tile "+96")                                                   \
  SM_COLUMNS("r10", "r11", "r12", "lr")                                                            \
  "add r4, r6\n\t"                                                                                 \
  "add r4, r8\n\t"                                                                                 \
  "add r5, r7\n\t"                                                                                 \
  "add r5, r9\n\t"                                                                                 \
  "sub r6, r6, r8\n\t"                                                                             \
  "sub r6, r6, r10\n\t"                                                                            \
  "sub r7, r7, r9\n\t"                                                                             \
  "sub r7, r7, r11\n\t"                                                                            \
  "ldm " factors ", {r8-r10}\n\t"
#define SM_LINE(sum)                                                                               \
  "add " sum ", r8, " sum ", lsl #6\n\t"                                                           \
  "smmul " sum ", " sum ", r9\n\t"                                                                 \
  "ssat " sum ", #8, " sum ", asr #12\n\t"
#define SM_EXACT(sum)                                                                              \
  "add " sum ", r8, " sum ", asr #1\n\t"                                                           \
  "add r12, r11, " sum ", asr #31\n\t"                                                             \
  "smmlar " sum ", " sum ", r9, r12\n\t"                                                           \
  "asr.w " sum ", " sum ", r10\n\t"                                                                \
  "ssat " sum ", #8, " sum ", asr #1\n\t"
#define SM_BYTES(at)                                                                               \
  "strb r4, [r2, #" at "+0]\n\t"                                                                   \
  "strb r5, [r2, #" at "+4]\n\t"                                                                   \
  "strb r6, [r2, #" at "+8]\n\t"                                                                   \
  "strb r7, [r2, #" at "+12]\n\t"
#define SM_LINES SM_LINE("r4") SM_LINE("r5") SM_LINE("r6") SM_LINE("r7")
#define SM_EXACTS                                                                                  \
  "ldr r11, [sp]\n\t"                                                                              \
  "lsl.w r11, r11, r10\n\t" SM_EXACT("r4") SM_EXACT("r5") SM_EXACT("r6") SM_EXACT("r7")
#define SM_NEXT_CHANNEL                                                                            \
  "adds r2, #1\n\t"                                                                                \
  "adds r0, #128\n\t"                                                                              \
  "cmp r1, r3\n\t"                                                                                 \
  "bne.w 1b\n\t"

/* Columns of assembly, which would be folded. Frame pointers cannot be named as clobbered. */
/* clang-format off */
static SM_PART void sm_winograd_values(const sm_winograd_values_call *call) {
  const sm_winograd_values_call *at = call;
  __asm__ volatile(
      "push {r7, r11}\n\t"
      "ldm %[at], {r0-r3}\n\t"
      "sub sp, #8\n\t"
      "strd r1, r2, [sp]\n\t"
      "mov lr, r3\n\t"
      "1:\n\t"
      "ldrd r1, r4, [sp]\n\t"
      "add r2, r1, r4, lsl #1\n\t"
      SM_ROW("0", SM_MINUS)
      "ldrd r1, r4, [sp]\n\t"
      "add r1, r4\n\t"
      "add r2, r1, r4\n\t"
      SM_ROW("32", SM_PLUS)
      "ldrd r2, r4, [sp]\n\t"
      "add r2, r4\n\t"
      "add r1, r2, r4\n\t"
      SM_ROW("64", SM_MINUS)
      "ldrd r1, r4, [sp]\n\t"
      "add r1, r4\n\t"
      "add r2, r1, r4, lsl #1\n\t"
      SM_ROW("96", SM_MINUS)
      "ldr r1, [sp]\n\t"
      "add r0, r0, #256\n\t"
      "adds r1, #4\n\t"
      "str r1, [sp]\n\t"
      "subs lr, #4\n\t"
      "bne.w 1b\n\t"
      "add sp, #8\n\t"
      "pop {r7, r11}"
      : [at] "+r"(at)
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}

static SM_PART void sm_winograd_tiles_line(const sm_winograd_tiles_call *call) {
  const sm_winograd_tiles_call *at = call;
  __asm__ volatile(
      "push {r7, r11}\n\t"
      "ldm %[at], {r0-r3}\n\t"
      "1:\n\t"
      SM_TILE("0", "r1")
      SM_LINES
      SM_BYTES("0")
      SM_TILE("4", "r1!")
      SM_LINES
      SM_BYTES("16")
      SM_NEXT_CHANNEL
      "pop {r7, r11}"
      : [at] "+r"(at)
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}

static SM_PART void sm_winograd_tiles_exact(const sm_winograd_tiles_call *call) {
  const sm_winograd_tiles_call *at = call;
  __asm__ volatile(
      "push {r7, r11}\n\t"
      "ldm %[at], {r0-r4}\n\t"
      "sub sp, #8\n\t"
      "str r4, [sp]\n\t" /* half point */
      "1:\n\t"
      SM_TILE("0", "r1")
      SM_EXACTS
      SM_BYTES("0")
      SM_TILE("4", "r1!")
      SM_EXACTS
      SM_BYTES("16")
      SM_NEXT_CHANNEL
      "add sp, #8\n\t"
      "pop {r7, r11}"
      : [at] "+r"(at)
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}
/* clang-format on */
#undef SM_MINUS
#undef SM_PLUS
#undef SM_PIXEL
#undef SM_PIXEL_AND_NEXT
#undef SM_PUT
#undef SM_ROW
#undef SM_COLUMNS
#undef SM_TILE
#undef SM_LINE
#undef SM_EXACT
#undef SM_BYTES
#undef SM_SUMS
#undef SM_LINES
#undef SM_EXACTS
#undef SM_NEXT_CHANNEL

#else
/* Two of four values of six pixels of two rows, plus or minus each other, across. */
static inline void sm_winograd_row(uint32_t *to, const int8_t *a, const int8_t *b, int32_t c,
                                   int32_t odd, int32_t plus) {
  uint32_t t[6];
  for (int32_t x = 0; x < 6; ++x, a += c, b += c) {
    const uint32_t u = sm_load32(a) >> 8 * odd, v = sm_load32(b) >> 8 * odd;
    t[x] = plus ? sm_sadd16(sm_sxtb16(u), sm_sxtb16(v)) : sm_ssub16(sm_sxtb16(u), sm_sxtb16(v));
  }
  for (int32_t tile = 0; tile < 2; ++tile) {
    const uint32_t *s = t + 2 * tile;
    to[tile] = sm_ssub16(s[0], s[2]);
    to[tile + 2] = sm_sadd16(s[1], s[2]);
    to[tile + 4] = sm_ssub16(s[2], s[1]);
    to[tile + 6] = sm_ssub16(s[1], s[3]);
  }
}

static inline void sm_winograd_values(const sm_winograd_values_call *call) {
  const int32_t c = call->in_c, stride = call->stride;
  for (int32_t at = 0; at < c; at += 4) {
    const int8_t *a = call->from + at, *b = a + stride, *d = b + stride, *e = d + stride;
    for (int32_t odd = 0; odd < 2; ++odd) {
      uint32_t *to = call->values + 16 * at + 32 * odd;
      sm_winograd_row(to, a, d, c, odd, 0);
      sm_winograd_row(to + 8, b, d, c, odd, 1);
      sm_winograd_row(to + 16, d, b, c, odd, 0);
      sm_winograd_row(to + 24, b, e, c, odd, 0);
    }
  }
}

/* Four times the sums of four pixels of a tile. */
static inline void sm_winograd_tile(const int32_t *m, int32_t *pixels) {
  int32_t left[4], right[4];
  for (int32_t i = 0; i < 4; ++i, m += 8) {
    left[i] = sm_wrap_add(sm_wrap_add(m[0], m[2]), m[4]);
    right[i] = sm_wrap_sub(sm_wrap_sub(m[2], m[4]), m[6]);
  }
  pixels[0] = sm_wrap_add(sm_wrap_add(left[0], left[1]), left[2]);
  pixels[1] = sm_wrap_add(sm_wrap_add(right[0], right[1]), right[2]);
  pixels[2] = sm_wrap_sub(sm_wrap_sub(left[1], left[2]), left[3]);
  pixels[3] = sm_wrap_sub(sm_wrap_sub(right[1], right[2]), right[3]);
}

static inline void sm_winograd_tiles(const sm_winograd_tiles_call *call, int32_t exact) {
  const int32_t *m = call->sums, *f = call->factors;
  for (int32_t channel = 0; f < call->factors_end; ++channel, f += 3, m += 32) {
    for (int32_t i = 0; i < 8; ++i) {
      int32_t pixels[4];
      sm_winograd_tile(m + i / 4, pixels);
      int32_t x = pixels[i % 4];
      if (exact) {
        x = sm_wrap_add(x >> 1, f[0]);
        const int32_t rounding = sm_wrap_shl(call->half_point, f[2]) + (x >> 31);
        x = sm_smmlar(x, f[1], rounding) >> f[2] >> 1;
      } else {
        x = sm_smmul(sm_wrap_add(sm_wrap_shl(x, 6), f[0]), f[1]) >> 12;
      }
      call->bytes[4 * i + channel] = (int8_t)sm_ssat8(x);
    }
  }
}

static inline void sm_winograd_tiles_line(const sm_winograd_tiles_call *call) {
  sm_winograd_tiles(call, 0);
}

static inline void sm_winograd_tiles_exact(const sm_winograd_tiles_call *call) {
  sm_winograd_tiles(call, 1);
}
#endif

#endif
