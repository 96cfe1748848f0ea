/* TRANSPOSE_CONV, int8, for cores with DSP instructions: any window and stride. */
#ifndef SM_TRANSPOSE_CONV_INT8_DSP_H
#define SM_TRANSPOSE_CONV_INT8_DSP_H

#include "bytes.h"
#include "fully_connected_dsp.h"

/* Output pixels whose row and column leave the same rest when they are divided by the strides are
 * of one phase: the same rows and columns of the window make all of them, so that each is a fully
 * connected layer of as many input pixels.
 *
 * weights: of each phase, row by row, those of FULLY_CONNECTED's DSP kernel. doubled_bias: of each
 * phase, filled up to fours. padding: what stands for pixels outside, the input's zero point.
 * same_scale: whether multiplier and shift hold one number each, for all outputs. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_h, pad_w;
  int32_t padding, same_scale;
  int32_t twice_offset;
  int32_t limited, act_min, act_max;
  const int32_t *multiplier;
  const int8_t *shift;
  const int32_t *doubled_bias;
  const int32_t *weights;
} sm_transpose_conv_int8_dsp_params;

/* Input rows from y upwards (`rows` of them), of each the `columns` pixels that end with x. */
static SM_PART void sm_transpose_conv_gather(const sm_transpose_conv_int8_dsp_params *p,
                                             const int8_t *input, int32_t y, int32_t x,
                                             int32_t rows, int32_t columns, uint8_t *to) {
  const int32_t first = x - columns + 1, all = columns * p->in_c;
  for (; rows > 0; --rows, --y, to += all) {
    const int8_t *from = input + (y * p->in_w + first) * p->in_c;
    if (y < 0 || y >= p->in_h) {
      sm_fill_bytes(to, p->padding, all);
    } else if (first >= 0 && x < p->in_w) {
      sm_copy_bytes_down(to, (const uint8_t *)from, all);
    } else {
      for (int32_t i = 0; i < columns; ++i) {
        if (first + i < 0 || first + i >= p->in_w) {
          sm_fill_bytes(to + i * p->in_c, p->padding, p->in_c);
        } else {
          sm_copy_bytes_down(to + i * p->in_c, (const uint8_t *)from + i * p->in_c, p->in_c);
        }
      }
    }
  }
}

/* scratch: the input pixels that make one output pixel. */
SM_KERNEL void sm_transpose_conv_int8_dsp(const sm_transpose_conv_int8_dsp_params *p,
                                          const int8_t *input, int8_t *output, void *scratch) {
  sm_fully_connected_dsp_params layer = {
      1,          0,          p->out_c,      p->twice_offset, p->limited,
      p->act_min, p->act_max, p->multiplier, p->shift,        p->doubled_bias,
      p->weights};
  const sm_scale_dsp scale = sm_scale_dsp_of(p->multiplier[0], p->shift[0], p->twice_offset);
  const int32_t filled = (p->out_c + 3) & ~3;
  for (int32_t ky = 0; ky < p->stride_h; ++ky) {
    for (int32_t kx = 0; kx < p->stride_w; ++kx) {
      const int32_t rows = (p->kernel_h - ky + p->stride_h - 1) / p->stride_h;
      const int32_t columns = (p->kernel_w - kx + p->stride_w - 1) / p->stride_w;
      const int32_t taps = rows > 0 && columns > 0 ? rows * columns : 0;
      layer.in_c = taps * p->in_c;
      /* The first row and column of this phase, and the input's last ones that make them. */
      const int32_t y0 = (p->pad_h - ky + p->stride_h - 1) / p->stride_h;
      const int32_t x0 = (p->pad_w - kx + p->stride_w - 1) / p->stride_w;
      for (int32_t y = y0; y * p->stride_h + ky < p->out_h + p->pad_h; ++y) {
        int8_t *row = output + (y * p->stride_h + ky - p->pad_h) * p->out_w * p->out_c;
        for (int32_t x = x0; x * p->stride_w + kx < p->out_w + p->pad_w; ++x) {
          if (taps > 0) {
            sm_transpose_conv_gather(p, input, y, x, rows, columns, scratch);
          }
          sm_fully_connected_dsp(&layer, scratch,
                                 row + (x * p->stride_w + kx - p->pad_w) * p->out_c,
                                 p->same_scale ? &scale : NULL);
        }
      }
      layer.doubled_bias += filled;
      layer.weights += filled * ((layer.in_c + 3) / 4);
    }
  }
}

#endif
