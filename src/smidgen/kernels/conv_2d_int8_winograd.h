/* CONV_2D, int8, for cores with the DSP instructions: windows of 3 x 3 that move by one, channels
 * in sixteens. Winograd's F(2 x 2, 3 x 3): 16 multiplications where four outputs take 36.
 *
 * It is exact. For a tile d of 4 x 4 inputs and a window g, in integers all the way,
 *   4 * outputs = A' [(2G g (2G)') * (B' d B)] A,
 * where ' transposes and * multiplies element by element. B and A hold 0, 1 and -1, and so does 2G
 * but for two entries of 2. Sums may wrap at 2^32 on the way: four times the output does not. */
#ifndef SM_CONV_2D_INT8_WINOGRAD_H
#define SM_CONV_2D_INT8_WINOGRAD_H

#include "columns_int8.h"
#include "common.h"
#include "dsp.h"
#include "requantize_dsp.h"
#include "winograd_int16.h"

/* The zero point of the input is folded into the addends; padding is written out.
 * The stream holds, for each group of four channels:
 *   for each position, for each four input channels (0, 2) and (1, 3) of each channel, int16;
 *   for each channel, three words: addend, multiplier, shift less one.
 * Sums become outputs as in gemm_int8_paired.h. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t pad_h, pad_w;
  int32_t padding; /* the input's zero point */
  int32_t exact, half_point;
  int32_t clamp; /* not 0: outputs are limited to act_min to act_max at last */
  int32_t act_min, act_max;
  const int32_t *stream;
} sm_conv_2d_int8_winograd_params;

/* One pixel on, by addition: compilers would keep six offsets, and run out of registers. */
#define SM_WINOGRAD_NEXT                                                                           \
  a += c;                                                                                          \
  b += c;                                                                                          \
  SM_HOLD(a);                                                                                      \
  SM_HOLD(b);

/* Two values of a pixel of one row, plus or minus those of a pixel of another. */
SM_DSP uint32_t sm_winograd_mix(const int8_t *a, const int8_t *b, int32_t high, int32_t plus) {
  const uint32_t u = sm_load32(a), v = sm_load32(b);
  const uint32_t first = high ? sm_sxtb16_ror8(u) : sm_sxtb16(u);
  if (plus) {
    return high ? sm_sxtab16_ror8(first, v) : sm_sxtab16(first, v);
  }
  return sm_ssub16(first, high ? sm_sxtb16_ror8(v) : sm_sxtb16(v));
}

/* One row of B' d B for one step of both tiles, from two rows of six pixels. */
SM_DSP void sm_winograd_row(uint32_t *to, const int8_t *a, const int8_t *b, int32_t c, int32_t high,
                            int32_t plus) {
  const uint32_t t0 = sm_winograd_mix(a, b, high, plus);
  SM_WINOGRAD_NEXT
  const uint32_t t1 = sm_winograd_mix(a, b, high, plus);
  SM_WINOGRAD_NEXT
  const uint32_t t2 = sm_winograd_mix(a, b, high, plus);
  to[0] = sm_ssub16(t0, t2);
  to[2] = sm_sadd16(t1, t2);
  to[4] = sm_ssub16(t2, t1);
  SM_WINOGRAD_NEXT
  const uint32_t t3 = sm_winograd_mix(a, b, high, plus);
  to[6] = sm_ssub16(t1, t3);
  SM_WINOGRAD_NEXT
  const uint32_t t4 = sm_winograd_mix(a, b, high, plus);
  to[1] = sm_ssub16(t2, t4);
  to[3] = sm_sadd16(t3, t4);
  to[5] = sm_ssub16(t4, t3);
  SM_WINOGRAD_NEXT
  to[7] = sm_ssub16(t3, sm_winograd_mix(a, b, high, plus));
}

/* B' d B of two tiles, side by side, that share two columns: 4 rows of 6 pixels. */
static SM_PART void sm_winograd_values(uint32_t *to, const int8_t *from, int32_t stride,
                                       int32_t c) {
  for (int32_t left = c; left > 0; left -= 4, from += 4, to += 64) {
    const int8_t *b = from + stride, *d = b + stride;
    sm_winograd_row(to, from, d, c, 0, 0);
    sm_winograd_row(to + 32, from, d, c, 1, 0);
    sm_winograd_row(to + 8, b, d, c, 0, 1);
    sm_winograd_row(to + 40, b, d, c, 1, 1);
    sm_winograd_row(to + 16, d, b, c, 0, 0);
    sm_winograd_row(to + 48, d, b, c, 1, 0);
    d += stride;
    sm_winograd_row(to + 24, b, d, c, 0, 0);
    sm_winograd_row(to + 56, b, d, c, 1, 0);
    SM_HOLD(left);
  }
}

/* Four times the sum, to its output. */
SM_DSP int8_t sm_winograd_output(int32_t sum, int32_t addend, int32_t multiplier, int32_t shift,
                                 int32_t exact, int32_t half_point) {
  if (!exact) {
    const int32_t scaled = sm_wrap_add(sm_wrap_shl(sum, 6), addend);
    return (int8_t)sm_ssat8_asr(sm_smmul(scaled, multiplier), 12);
  }
  const int32_t doubled = sm_wrap_add(sum >> 1, addend);
  const int32_t rounding = half_point + (doubled >> 31);
  return (int8_t)sm_ssat8_asr(sm_smmlar(doubled, multiplier, rounding) >> shift, 1);
}

/* A' [sums] A of one tile for so many channels, 32 sums apart: to pixels of `out`, at most
 * rows x columns. */
SM_DSP void sm_winograd_outputs(const sm_conv_2d_int8_winograd_params *p, const int32_t *m,
                                const int32_t *factor, int32_t channels, int8_t *out, int32_t rows,
                                int32_t columns, int32_t exact) {
  int8_t outside[4]; /* what pixels beyond the edge are written to */
  int8_t *at_a = columns > 0 ? out : outside;
  int8_t *at_b = columns > 1 ? out + p->out_c : outside;
  out += p->out_w * p->out_c;
  int8_t *at_c = rows > 1 && columns > 0 ? out : outside;
  int8_t *at_d = rows > 1 && columns > 1 ? out + p->out_c : outside;
  for (; channels > 0; --channels, m += 32, factor += 3) {
    SM_HOLD(m);
    int32_t u = sm_wrap_add(m[0], sm_wrap_add(m[1], m[2]));
    int32_t v = sm_wrap_sub(m[1], sm_wrap_add(m[2], m[3]));
    int32_t a = u, b = v;
    u = sm_wrap_add(m[4], sm_wrap_add(m[5], m[6]));
    v = sm_wrap_sub(m[5], sm_wrap_add(m[6], m[7]));
    a = sm_wrap_add(a, u);
    b = sm_wrap_add(b, v);
    int32_t c = u, d = v;
    u = sm_wrap_add(m[8], sm_wrap_add(m[9], m[10]));
    v = sm_wrap_sub(m[9], sm_wrap_add(m[10], m[11]));
    a = sm_wrap_add(a, u);
    b = sm_wrap_add(b, v);
    c = sm_wrap_sub(c, u);
    d = sm_wrap_sub(d, v);
    u = sm_wrap_add(m[12], sm_wrap_add(m[13], m[14]));
    v = sm_wrap_sub(m[13], sm_wrap_add(m[14], m[15]));
    c = sm_wrap_sub(c, u);
    d = sm_wrap_sub(d, v);
    const int32_t addend = factor[0], multiplier = factor[1], shift = exact ? factor[2] : 0;
    const int32_t half = exact ? sm_wrap_shl(p->half_point, shift) : 0;
    *at_a++ = sm_winograd_output(a, addend, multiplier, shift, exact, half);
    *at_b++ = sm_winograd_output(b, addend, multiplier, shift, exact, half);
    *at_c++ = sm_winograd_output(c, addend, multiplier, shift, exact, half);
    *at_d++ = sm_winograd_output(d, addend, multiplier, shift, exact, half);
  }
}

/* Both tiles. */
static SM_PART void sm_winograd_tiles(const sm_conv_2d_int8_winograd_params *p, const int32_t *m,
                                      const int32_t *factor, int32_t channels, int8_t *out,
                                      int32_t rows, int32_t columns) {
  for (int32_t tile = 0; tile < 2; ++tile, m += 16, out += 2 * p->out_c, columns -= 2) {
    if (p->exact) {
      sm_winograd_outputs(p, m, factor, channels, out, rows, columns, 1);
    } else {
      sm_winograd_outputs(p, m, factor, channels, out, rows, columns, 0);
    }
  }
}

/* scratch, aligned to 4: 64 * in_c bytes of values, then 512 of sums, or 24 * in_c + 3 of inputs if
 * those are more. Two tiles, side by side, are read fully before their 2 x 4 pixels are written:
 * `output` may lie over `input` as far as this allows (see tile_lead). */
SM_KERNEL void sm_conv_2d_int8_winograd(const sm_conv_2d_int8_winograd_params *p,
                                        const int8_t *input, int8_t *output, void *scratch) {
  const int32_t c = p->in_c, out_c = p->out_c;
  uint32_t *const values = scratch;
  int32_t *const sums = (int32_t *)(values + 16 * c);
  const sm_image image = {input, p->in_h, p->in_w, c, p->padding};
  for (int32_t oy = 0; oy < p->out_h; oy += 2) {
    const int32_t y = oy - p->pad_h;
    for (int32_t ox = 0; ox < p->out_w; ox += 4) {
      const int32_t x = ox - p->pad_w;
      const int8_t *from = input + (y * p->in_w + x) * c;
      int32_t stride = p->in_w * c;
      if (y < 0 || x < 0 || y + 4 > p->in_h || x + 6 > p->in_w) {
        sm_copy_window(&image, y, x, 4, 6, (int8_t *)sums);
        from = (const int8_t *)sums;
        stride = 6 * c;
      }
      sm_winograd_values(values, from, stride, c);
      const int32_t *stream = p->stream;
      for (int32_t channel = 0; channel < out_c; channel += 4) {
        const sm_winograd_call call = {values, stream, sums, 64 * c, sums + 16};
        sm_winograd_products(&call);
        stream += 32 * c;
        sm_winograd_tiles(p, sums, stream, out_c - channel < 4 ? out_c - channel : 4,
                          output + (oy * p->out_w + ox) * out_c + channel, p->out_h - oy,
                          p->out_w - ox);
        stream += 12;
      }
    }
  }
  if (p->clamp) {
    sm_limit_bytes_dsp(output, p->out_h * p->out_w * out_c, p->act_min, p->act_max);
  }
}

#endif
