/* DEPTHWISE_CONV_2D, int8, for cores with DSP instructions: what its kernels share.
 *
 * Four channels at a time, a tile of the image is turned into words of two int16 values of one
 * channel that lie side by side, so that SMLAD multiplies two values by two weights. One channel
 * after the other is then computed by a *core*, its weights in registers where they fit; outputs
 * gather in words of four channels, which go out as they are.
 *
 * The image is taken as *lines* of *positions*; two positions make a word. Lines are its rows or,
 * where that wastes less, its columns. */
#ifndef SM_DEPTHWISE_DSP_H
#define SM_DEPTHWISE_DSP_H

#include "common.h"
#include "depthwise_tile.h"
#include "dsp.h"

/* All steps are in bytes. A tile has `rows` lines of `columns` words, which the windows of `band`
 * lines of `chunk` outputs lie on; a word of line i, column j, channel k is number
 * (j * rows + i) * 4 + k. The windows of the next chunk begin `chunk_columns` further on.
 *
 * stream: for each four channels, words of four weights for each tap of the window, line by line,
 * or if nibbles, halfwords of int4 weights plus 8, the first channel's lowest, filled up to words;
 * then addend and multiplier of each channel; then, if exact, a word of their shifts less one. If
 * channels are left over, they are the last ones of their four (the first ones of all where there
 * are no four).
 * taps: two taps for each word of weights that the core reads, -128 for none.
 *
 * Sums become outputs as in gemm_int8_paired.h, but here weights are multiplied by 256 (by 2 if
 * exact) to begin with: ((sum + addend) * multiplier) >> 44 for one. */
typedef struct {
  uint16_t lines, length; /* of the input */
  uint16_t line_step, step;
  uint16_t out_lines, out_length;
  uint16_t out_line_step, out_step;
  uint16_t channels;
  uint8_t window_lines, line_stride, line_pad;
  uint8_t window_words, stride, pad; /* words of values that a window lies on */
  uint16_t band, rows, out_rows;
  uint16_t chunk, columns, chunk_columns;
  int16_t padding; /* the input's zero point */
  uint8_t exact;
  int16_t half_point;
  uint8_t clamp;
  int8_t act_min, act_max;
  uint8_t nibbles;   /* weights are int4 */
  uint8_t tap_words; /* words of weights for each four channels */
  uint16_t words;    /* words of two weights for each channel */
  const int8_t *taps;
  const int32_t *stream;
} sm_depthwise_dsp_params;

/* Some channels of a tile. */
typedef struct {
  const uint32_t *tile; /* of the first of them */
  int8_t
      *out; /* of the first of them: line i of pair j has bytes (j * out_rows + i) * 8 and 4 on */
  const uint32_t *weights;        /* words, four apart */
  const int32_t *factors;         /* addend and multiplier of each */
  int32_t channels, lines, pairs; /* at least 1 */
  const int8_t *shifts;           /* of each less one, if exact */
  int32_t half_point;
} sm_depthwise_call;

typedef void (*sm_depthwise_core)(const sm_depthwise_call *call, const sm_depthwise_dsp_params *p);

/* Four weights, a byte each, of a tap; of any for none, which is negative. */
static inline uint32_t sm_depthwise_tap(const sm_depthwise_dsp_params *p, const int32_t *stream,
                                        int32_t tap) {
  tap &= ~(tap >> 31);
  if (!p->nibbles) {
    return (uint32_t)stream[tap];
  }
  uint32_t four = sm_load16((const uint8_t *)stream + 2 * tap);
  four = (four | four << 8) & 0x00ff00ffu;
  four = (four | four << 4) & 0x0f0f0f0fu;
  /* Minus 8 from each byte: a bit above it lends, and is the sign when flipped. */
  return ((four | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}

/* Words of two weights, of each of four channels in turn. */
static SM_PART void sm_depthwise_weights(const sm_depthwise_dsp_params *p, const int32_t *stream,
                                         uint32_t *to) {
  const uint32_t high_bytes = 0xff00ff00u;
  const int8_t *tap = p->taps;
  for (int32_t i = p->words; i > 0; --i, to += 4, tap += 2) {
    const uint32_t a = sm_depthwise_tap(p, stream, tap[0]);
    const uint32_t b = sm_depthwise_tap(p, stream, tap[1]);
    const uint32_t low = sm_pkhbt_lsl16(a, b), high = sm_pkhtb_asr16(b, a);
    to[0] = low << 8 & high_bytes;
    to[1] = low & high_bytes;
    to[2] = high << 8 & high_bytes;
    to[3] = high & high_bytes;
    if ((tap[0] | tap[1]) < 0) {
      const uint32_t mask = (tap[0] < 0 ? 0u : 0xffffu) | (tap[1] < 0 ? 0u : 0xffff0000u);
      for (int32_t k = 0; k < 4; ++k) {
        to[k] &= mask;
      }
    }
  }
  if (p->exact) {
    for (int32_t k = -4 * p->words; k < 0; ++k) {
      to[k] = sm_pack16(sm_low16(to[k]) >> 7, sm_high16(to[k]) >> 7);
    }
  }
}

/* A column of which one position or both are outside. */
static SM_PART void sm_depthwise_edge(const sm_depthwise_dsp_params *p,
                                      sm_depthwise_columns *column, int32_t position) {
  int8_t padding[4];
  sm_store32(padding, sm_four8(p->padding));
  if ((uint32_t)position >= (uint32_t)p->length) {
    column->a = padding;
    column->a_step = 0;
  }
  if ((uint32_t)position + 1 >= (uint32_t)p->length) {
    column->b = padding;
    column->b_step = 0;
  }
  column->columns = 1;
  sm_depthwise_fill(column);
  column->a_step = column->b_step = p->line_step;
}

/* One to three bytes, the first one lowest. */
static inline uint32_t sm_depthwise_bytes(const int8_t *from, int32_t n) {
  uint32_t word = 0;
  while (n > 0) {
    word = word << 8 | (uint8_t)from[--n];
  }
  return word;
}

/* Columns of fewer than four channels, byte by byte. */
static SM_PART void sm_depthwise_few(const sm_depthwise_dsp_params *p, const int8_t *from,
                                     int32_t lines, int32_t position, int32_t count, uint32_t *to) {
  const uint32_t padding = sm_four8(p->padding);
  for (; count > 0; --count, position += 2, from += 2 * p->step, to += 4 * p->rows) {
    const int8_t *at = from;
    for (int32_t i = 0; i < 4 * lines; i += 4, at += p->line_step) {
      uint32_t a = padding, b = padding;
      if ((uint32_t)position < (uint32_t)p->length) {
        a = sm_depthwise_bytes(at, p->channels);
      }
      if ((uint32_t)position + 1 < (uint32_t)p->length) {
        b = sm_depthwise_bytes(at + p->step, p->channels);
      }
      sm_depthwise_pair(to + i, 1, a, b);
    }
  }
}

/* `count` columns of a tile, from a position on, which may be outside. `from` is where it is or
 * would be, of the first line; columns: what lines have in common is known. */
static SM_PART void sm_depthwise_inside(const sm_depthwise_dsp_params *p, const int8_t *from,
                                        int32_t position, int32_t count, uint32_t *to,
                                        sm_depthwise_columns *columns) {
  const int32_t step = p->step, pitch = 4 * p->rows;
  for (; count > 0; count -= columns->columns) {
    const int32_t inside = (p->length - position) / 2;
    columns->a = from;
    columns->b = from + step;
    columns->to = to;
    if (position >= 0 && inside > 0) {
      columns->columns = inside < count ? inside : count;
      sm_depthwise_fill(columns);
    } else {
      sm_depthwise_edge(p, columns, position);
    }
    position += 2 * columns->columns;
    from += 2 * columns->columns * step;
    to += columns->columns * pitch;
  }
}

/* Lines outside of the image in every column of a tile. */
static inline void sm_depthwise_outside(const sm_depthwise_dsp_params *p, int32_t lines,
                                        uint32_t *to) {
  const uint32_t both = sm_pack16(p->padding, p->padding);
  for (int32_t j = 0; j < p->columns; ++j, to += 4 * p->rows) {
    for (int32_t i = 0; i < 4 * lines; ++i) {
      to[i] = both;
    }
  }
}

/* Limits words of four outputs each. */
static SM_PART void sm_depthwise_limit(const sm_depthwise_dsp_params *p, uint32_t *words,
                                       int32_t count) {
  const uint32_t lows = sm_four8(p->act_min), highs = sm_four8(p->act_max);
  for (; count > 0; --count, ++words) {
    *words = sm_min8(sm_max8(*words, lows), highs);
  }
}

/* What sm_depthwise_copy leaves: `count` of four channels, of one output or more of each line. */
static SM_PART void sm_depthwise_rest(const sm_depthwise_dsp_params *p, const int8_t *from,
                                      int8_t *to, int32_t lines, int32_t length, int32_t count) {
  const int32_t line_step = p->out_line_step;
  if (count == 4 && length == 1) {
    for (; lines > 0; --lines, to += line_step, from += 8) {
      sm_store32(to, sm_load32(from));
    }
    return;
  }
  for (; length > 0; length -= 2, from += 8 * p->out_rows, to += 2 * p->out_step) {
    const int8_t *bytes = from;
    int8_t *at = to;
    for (int32_t left = lines; left > 0; --left, at += line_step, bytes += 8) {
      for (int32_t k = 0; k < count; ++k) {
        at[k] = bytes[k];
      }
      if (length > 1) {
        for (int32_t k = 0; k < count; ++k) {
          at[p->out_step + k] = bytes[4 + k];
        }
      }
    }
  }
}

/* scratch, aligned to 4: 4 * words of weights, then the tile, then 4 * out_rows * chunk bytes.
 *
 * A band is read fully before the next is begun, and one that is read no more is not needed:
 * `output` may lie over `input` as far as bands allow. If there is but one band and the output has
 * the input's shape, it may also take exactly the input's place: four channels of a chunk are read
 * before they are written, and what the next chunk needs of them stays in the tile. */
static SM_PART void sm_depthwise_run(const sm_depthwise_dsp_params *p, const int8_t *input,
                                     int8_t *output, uint32_t *weights, sm_depthwise_core core) {
  uint32_t *const tile = weights + 4 * p->words;
  uint32_t *const outs = tile + 4 * p->rows * p->columns;
  const int32_t pitch = 4 * p->rows;
  const int32_t carry = p->columns - p->chunk_columns;
  for (int32_t out_line = 0; out_line < p->out_lines; out_line += p->band) {
    const int32_t left = p->out_lines - out_line;
    const int32_t lines = left < p->band ? left : p->band;
    const int32_t rows = (lines - 1) * p->line_stride + p->window_lines;
    const int32_t line = out_line * p->line_stride - p->line_pad;
    const int32_t above = line < 0 ? -line : 0;
    const int32_t below = line + rows > p->lines ? line + rows - p->lines : 0;
    const int32_t inside = rows - above - below;
    const int8_t *const first = input + (line + above) * p->line_step;
    sm_depthwise_columns columns;
    columns.a_step = columns.b_step = p->line_step;
    columns.lines = inside;
    columns.step = 2 * p->step - inside * p->line_step;
    columns.to_step = 16 * (p->rows - inside);
    sm_depthwise_outputs pairs;
    pairs.step = p->out_step;
    pairs.line_step = p->out_line_step;
    pairs.lines = lines;
    pairs.from_back = 8 * (p->out_rows - lines);
    pairs.back = 2 * p->out_step - lines * p->out_line_step;
    sm_depthwise_outside(p, above, tile);
    sm_depthwise_outside(p, below, tile + 4 * (rows - below));
    const int32_t *stream = p->stream;
    for (int32_t channel = 0; channel < p->channels; channel += 4) {
      const int32_t rest = p->channels - channel;
      const int32_t count = rest < 4 ? rest : 4;
      const int32_t lane = p->channels < 4 ? 0 : 4 - count;
      const int32_t *factors = stream + p->tap_words;
      sm_depthwise_weights(p, stream, weights);
      stream = factors + (p->exact ? 9 : 8);
      for (int32_t at = 0; at < p->out_length; at += p->chunk) {
        const int32_t behind = p->out_length - at;
        const int32_t length = behind < p->chunk ? behind : p->chunk;
        const int32_t needed = (length - 1) * p->stride / 2 + p->window_words;
        int32_t known = 0;
        if (at > 0 && carry > 0) {
          known = carry;
          sm_depthwise_move(tile, tile + p->chunk_columns * pitch, carry * p->rows);
        }
        const int32_t position = at * p->stride - p->pad + 2 * known;
        const int8_t *const from = first + position * p->step + channel - lane;
        uint32_t *const to = tile + known * pitch + 4 * above;
        if (p->channels < 4) {
          sm_depthwise_few(p, from, inside, position, needed - known, to);
        } else {
          sm_depthwise_inside(p, from, position, needed - known, to, &columns);
        }
        const sm_depthwise_call call = {tile + lane,
                                        (int8_t *)outs + lane,
                                        weights + lane,
                                        factors + 2 * lane,
                                        count,
                                        lines,
                                        (length + 1) / 2,
                                        (const int8_t *)(factors + 8) + lane,
                                        p->half_point};
        core(&call, p);
        if (p->clamp) {
          sm_depthwise_limit(p, outs, p->out_rows * ((length + 1) & ~1));
        }
        const int8_t *out = (const int8_t *)outs + lane;
        pairs.to = output + out_line * p->out_line_step + at * p->out_step + channel;
        pairs.pairs = count == 4 ? length / 2 : 0;
        if (pairs.pairs > 0) {
          pairs.from = outs;
          sm_depthwise_copy(&pairs);
          out += 8 * p->out_rows * pairs.pairs;
          pairs.to += 2 * p->out_step * pairs.pairs;
        }
        sm_depthwise_rest(p, out, pairs.to, lines, length - 2 * pairs.pairs, count);
      }
    }
  }
}

/* The requantized output of a sum, addend included, of one channel. */
SM_DSP int32_t sm_depthwise_output(const sm_depthwise_call *call, int32_t exact, int32_t channel,
                                   int32_t sum) {
  const int32_t multiplier = call->factors[2 * channel + 1];
  if (!exact) {
    return sm_ssat8(sm_smmul(sum, multiplier) >> 12);
  }
  const int32_t shift = call->shifts[channel];
  const int32_t rounding = sm_wrap_shl(call->half_point, shift) + (sum >> 31);
  return sm_ssat8(sm_smmlar(sum, multiplier, rounding) >> shift >> 1);
}

#endif
