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
#include "winograd_tiles.h"

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

/* Both tiles of a group of channels, at most rows x columns pixels of theirs. */
static SM_PART void sm_winograd_outputs(const sm_conv_2d_int8_winograd_params *p,
                                        const int32_t *sums, const int32_t *factors,
                                        int32_t channels, int8_t *out, int32_t rows,
                                        int32_t columns) {
  const int32_t out_c = p->out_c;
  uint32_t words[8]; /* for each tile, for each pixel, a byte of each channel */
  const sm_winograd_tiles_call call = {sums, factors, (int8_t *)words, factors + 3 * channels,
                                       p->half_point};
  if (p->exact) {
    sm_winograd_tiles_exact(&call);
  } else {
    sm_winograd_tiles_line(&call);
  }
  const uint32_t *from = words;
  for (; rows > 0 && from < words + 4; --rows, from += 2, out += p->out_w * out_c) {
    if (channels == 4 && columns > 3) {
      sm_store32(out, from[0]);
      sm_store32(out + out_c, from[1]);
      sm_store32(out + 2 * out_c, from[4]);
      sm_store32(out + 3 * out_c, from[5]);
      continue;
    }
    for (int32_t x = 0; x < 4 && x < columns; ++x) {
      memcpy(out + x * out_c, from + x % 2 + x / 2 * 4, (size_t)channels);
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
      const sm_winograd_values_call inputs = {values, from, stride, c};
      sm_winograd_values(&inputs);
      const int32_t *stream = p->stream;
      for (int32_t channel = 0; channel < out_c; channel += 4) {
        const sm_winograd_call call = {values, stream, sums, c / 2};
        sm_winograd_products(&call);
        stream += 32 * c;
        sm_winograd_outputs(p, sums, stream, out_c - channel < 4 ? out_c - channel : 4,
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
