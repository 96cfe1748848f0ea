/* CONV_2D, int8, for cores with the DSP instructions: any window and stride, one group, no
 * dilation. Each window is widened as a whole, a column of the product. */
#ifndef SM_CONV_2D_INT8_PAIRED_H
#define SM_CONV_2D_INT8_PAIRED_H

#include "common.h"
#include "conv_2d_paired.h"

/* The steps take the fours of each row of the window, then what remains of all rows.
 * scratch, aligned to 4: 8 * steps bytes for each pair of columns, then a window, three bytes for
 * each of its rows and six more. The pixels of `pairs` pairs are read fully before any is written,
 * otherwise in order: `output` may lie over `input` as far as this allows (see block_lead). */
SM_KERNEL void sm_conv_2d_int8_paired(const sm_conv_2d_paired_params *p, const int8_t *input,
                                      int8_t *output, void *scratch) {
  uint32_t *const columns = scratch;
  int8_t *const window = (int8_t *)(columns + 2 * p->steps * p->pairs);
  const int32_t row = p->kernel_w * p->in_c;
  const int32_t rest = row % 4;
  int8_t *const rests = window + p->kernel_h * row + 3;
  int8_t *const first = output;
  const sm_image image = {input, p->in_h, p->in_w, p->in_c, p->padding};
  int32_t held = 0;
  uint32_t *to = columns;
  for (int32_t oy = 0, y = -p->pad_h; oy < p->out_h; ++oy, y += p->stride_h) {
    const int32_t high = y >= 0 && y + p->kernel_h <= p->in_h;
    for (int32_t ox = 0, x = -p->pad_w; ox < p->out_w; ++ox, x += p->stride_w) {
      const int8_t *from = input + (y * p->in_w + x) * p->in_c;
      int32_t stride = p->in_w * p->in_c;
      if (!high || x < 0 || x + p->kernel_w > p->in_w) {
        sm_copy_window(&image, y, x, p->kernel_h, p->kernel_w, window);
        from = window;
        stride = row;
      }
      uint32_t *behind = sm_widen_rows(to, from, row - rest, p->kernel_h, stride);
      if (rest > 0) {
        sm_copy_rests(rests, from, rest, row, p->kernel_h, stride);
        sm_widen(behind, rests, p->kernel_h * rest);
      }
      to += held % 2 ? 2 * p->steps - 1 : 1;
      if (++held == 2 * p->pairs) {
        output = sm_conv_2d_outputs(p, columns, 8 * p->steps, held, output);
        to = columns;
        held = 0;
      }
    }
  }
  sm_conv_2d_outputs(p, columns, 8 * p->steps, held, output);
  sm_conv_2d_limit(p, first);
}

#endif
