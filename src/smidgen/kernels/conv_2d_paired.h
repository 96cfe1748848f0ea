/* What the kernels of CONV_2D with paired weights share: parameters, and from columns to outputs.
 *
 * Weights of two channels lie in one halfword (see gemm_int8_paired.h). The zero point of the input
 * is folded into the stream, so raw bytes are multiplied, and padding is the zero point written
 * out. A window's values go by fours into two steps of (0, 2) and (1, 3); of one to three that
 * remain at last, one takes a step of its own, two share it, three take two: (0, 2) and (1, none).
 */
#ifndef SM_CONV_2D_PAIRED_H
#define SM_CONV_2D_PAIRED_H

#include "columns_int8.h"
#include "common.h"
#include "gemm_int8_paired.h"
#include "requantize_dsp.h"

typedef struct {
  uint16_t in_h, in_w, in_c;
  uint16_t out_h, out_w, out_c;
  uint8_t kernel_h, kernel_w;
  uint8_t stride_h, stride_w;
  uint8_t pad_h, pad_w;
  uint16_t steps;
  uint8_t pairs; /* of pixels at a time */
  uint8_t exact;
  int16_t half_point;
  int16_t padding; /* the input's zero point */
  uint8_t clamp;   /* not 0: outputs are limited to act_min to act_max at last */
  int8_t act_min, act_max;
  int32_t tail_stream; /* words of the stream before the last 1 to 3 channels */
  const int32_t *stream;
} sm_conv_2d_paired_params;

#define SM_CONV_2D_MAX_PIXELS 16 /* twice the pairs at most */

/* The outputs of so many pixels by `gemm`; an odd last one leaves the second of its columns alone.
 * Pairs of columns are so many bytes apart. Returns where the next outputs go. */
SM_DSP int8_t *sm_conv_2d_outputs_by(void (*gemm)(const sm_gemm_int8_paired_call *),
                                     const sm_conv_2d_paired_params *p, const uint32_t *columns,
                                     int32_t pair_bytes, int32_t pixels, int8_t *out) {
  const int32_t out_c = p->out_c;
  const int32_t rest = out_c % 4;
  while (pixels > 0) {
    const int32_t taken = pixels == 1 ? 1 : pixels & ~1;
    sm_gemm_int8_paired_call call = {columns,  p->stream,     p->steps, out_c / 4, taken / 2,
                                     p->exact, p->half_point, out,      out_c,     pair_bytes};
    if (taken == 1) {
      call.pairs = 1;
      call.out_stride = 0;
    }
    if (call.groups) {
      gemm(&call);
    }
    if (rest) {
      int8_t few[4 * SM_CONV_2D_MAX_PIXELS];
      call.stream = p->stream + p->tail_stream;
      call.out = few;
      call.out_stride = call.out_stride ? 4 : 0;
      call.groups = 1;
      gemm(&call);
      for (int32_t i = 0; i < taken; ++i) {
        int8_t *to = out + (i + 1) * out_c - rest;
        for (int32_t k = 0; k < rest; ++k) {
          to[k] = few[4 * i + k];
        }
      }
    }
    out += taken * out_c;
    pixels -= taken;
    columns += taken / 2 * (pair_bytes / 4);
  }
  return out;
}

/* The same of int8 weights. */
static SM_PART int8_t *sm_conv_2d_outputs(const sm_conv_2d_paired_params *p,
                                          const uint32_t *columns, int32_t pair_bytes,
                                          int32_t pixels, int8_t *out) {
  return sm_conv_2d_outputs_by(sm_gemm_int8_paired, p, columns, pair_bytes, pixels, out);
}

/* The end of every kernel: activations that saturation does not bring about. */
static inline void sm_conv_2d_limit(const sm_conv_2d_paired_params *p, int8_t *output) {
  if (p->clamp) {
    sm_limit_bytes_dsp(output, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
  }
}

#endif
