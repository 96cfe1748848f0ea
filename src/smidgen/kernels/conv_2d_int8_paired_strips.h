/* CONV_2D, int8, for cores with the DSP instructions: windows that move by one column, channels in
 * fours. What one column of the image adds to a window, a strip, is widened once for all windows
 * that share it. */
#ifndef SM_CONV_2D_INT8_PAIRED_STRIPS_H
#define SM_CONV_2D_INT8_PAIRED_STRIPS_H

#include "common.h"
#include "conv_2d_paired.h"
#include "dsp.h"

/* Four bytes, to both columns. */
#if SM_HAS_DSP
#define SM_TWICE(word, at, behind)                                                                 \
  "sxtb16 %[t], %[" word "]\n\t"                                                                   \
  "sxtb16 %[" word "], %[" word "], ror #8\n\t"                                                    \
  "str %[t], [%[to], #" at "]\n\t"                                                                 \
  "str %[t], [%[other], #" at "]\n\t"                                                              \
  "str %[" word "], [%[to], #" behind "]\n\t"                                                      \
  "str %[" word "], [%[other], #" behind "]\n\t"
#endif

/* One row of so many strips: c bytes of each, a multiple of four. */
static SM_PART void sm_widen_line(uint32_t *to, const int8_t *from, int32_t c, int32_t strips,
                                  int32_t entry) {
  uint32_t *other = to - entry + 1;
  const int32_t gap = entry - c;
  for (; strips > 0; --strips) {
    int32_t left = c;
    for (; left >= 16; left -= 16) {
#if SM_HAS_DSP
      uint32_t a, b, d, e, t;
      __asm__ volatile(
          "ldr %[a], [%[from]]\n\t"
          "ldr %[b], [%[from], #4]\n\t"
          "ldr %[d], [%[from], #8]\n\t"
          "ldr %[e], [%[from], #12]\n\t"
          "adds %[from], #16\n\t" SM_TWICE("a", "0", "8") SM_TWICE("b", "16", "24")
              SM_TWICE("d", "32", "40") SM_TWICE("e", "48", "56")
          : [a] "=&r"(a), [b] "=&r"(b), [d] "=&r"(d), [e] "=&r"(e), [t] "=&r"(t), [from] "+r"(from)
          : [to] "r"(to), [other] "r"(other)
          : "cc", "memory");
#else
      for (int32_t i = 0; i < 16; i += 4, from += 4) {
        const uint32_t a = sm_load32(from);
        sm_widen4(to + i, a);
        sm_widen4(other + i, a);
      }
#endif
      to += 16;
      other += 16;
      SM_HOLD(left);
    }
    for (; left > 0; left -= 4) {
      const uint32_t a = sm_load32(from);
      sm_widen4(to, a);
      sm_widen4(other, a);
      from += 4;
      to += 4;
      other += 4;
      SM_HOLD(left);
    }
    to += gap;
    other += gap;
  }
}
#if SM_HAS_DSP
#undef SM_TWICE
#endif

/* The same of padding: `word` has it in both lanes. */
static SM_PART void sm_pad_line(uint32_t *to, uint32_t word, int32_t c, int32_t strips,
                                int32_t entry) {
  for (uint32_t *other = to - entry + 1; strips > 0; --strips, to += entry, other += entry) {
    for (int32_t i = 0; i < c; i += 4) {
      to[i] = word;
      to[i + 2] = word;
      other[i] = word;
      other[i + 2] = word;
    }
  }
}

/* Strip s lies in entries s and s - 1: it is the first column of the pair that begins there, and
 * the second of the one before. A pair's columns are kernel_w entries on.
 *
 * The steps take the window column by column: (kernel_w, kernel_h, in_c).
 * scratch, aligned to 4: 4 * kernel_h * in_c bytes for each of 2 * pairs + kernel_w entries, one of
 * which lies before the first strip's. A row's next 2 * pairs pixels are read fully before any is
 * written, otherwise in order: `output` may lie over `input` as far as this allows (see
 * block_lead). */
SM_KERNEL void sm_conv_2d_int8_paired_strips(const sm_conv_2d_paired_params *p, const int8_t *input,
                                             int8_t *output, void *scratch) {
  const int32_t c = p->in_c;
  const int32_t entry = p->kernel_h * c; /* words */
  uint32_t *const entries = (uint32_t *)scratch + entry;
  const uint32_t padding = sm_pack16(p->padding, p->padding);
  int8_t *const first = output;
  for (int32_t oy = 0, y = -p->pad_h; oy < p->out_h; ++oy, y += p->stride_h) {
    int32_t pixels = 2 * p->pairs;
    for (int32_t ox = 0; ox < p->out_w; ox += pixels) {
      if (pixels > p->out_w - ox) {
        pixels = p->out_w - ox;
      }
      const int32_t x = ox - p->pad_w, strips = (pixels + 1) / 2 * 2 + p->kernel_w - 1;
      const int32_t before = x < 0 ? -x : 0;
      const int32_t end = x + strips > p->in_w ? p->in_w - x : strips;
      uint32_t *to = entries;
      for (int32_t iy = y; iy < y + p->kernel_h; ++iy, to += c) {
        if (iy < 0 || iy >= p->in_h) {
          sm_pad_line(to, padding, c, strips, entry);
          continue;
        }
        if (before > 0) {
          sm_pad_line(to, padding, c, before, entry);
        }
        const int8_t *from = input + (iy * p->in_w + x + before) * c;
        sm_widen_line(to + before * entry, from, c, end - before, entry);
        if (end < strips) {
          sm_pad_line(to + end * entry, padding, c, strips - end, entry);
        }
      }
      output = sm_conv_2d_outputs(p, entries, 8 * entry, pixels, output);
    }
  }
  sm_conv_2d_limit(p, first);
}

#endif
