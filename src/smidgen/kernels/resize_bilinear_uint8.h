/* RESIZE_BILINEAR, uint8: pixels between four of the image, found in float32 as LiteRT does. */
#ifndef SM_RESIZE_BILINEAR_UINT8_H
#define SM_RESIZE_BILINEAR_UINT8_H

#include "resize_bilinear_float32.h"

/* Products must not be fused into sums, or results may differ by one (-ffp-contract=off). */
SM_KERNEL void sm_resize_bilinear_uint8(const sm_resize_bilinear_float32_params *p,
                                        const uint8_t *input, uint8_t *output) {
  const int32_t channels = p->channels;
  const float half = p->half;
  for (int32_t y = 0; y < p->out_h; ++y) {
    const sm_resize_float_place row =
        sm_resize_float_place_of(((float)y + half) * p->scale_y - half, p->in_h);
    const uint8_t *const top = input + row.lower * p->in_w * channels;
    const uint8_t *const bottom = input + row.upper * p->in_w * channels;
    const float dy = row.weight;
    for (int32_t x = 0; x < p->out_w; ++x) {
      const sm_resize_float_place col =
          sm_resize_float_place_of(((float)x + half) * p->scale_x - half, p->in_w);
      const int32_t left = col.lower * channels, right = col.upper * channels;
      const float dx = col.weight;
      for (int32_t c = 0; c < channels; ++c) {
        const float value = (float)top[left + c] * (1.0f - dy) * (1.0f - dx) +
                            (float)bottom[left + c] * dy * (1.0f - dx) +
                            (float)top[right + c] * (1.0f - dy) * dx +
                            (float)bottom[right + c] * dy * dx;
        *output++ = (uint8_t)(value + 0.5f);
      }
    }
  }
}

#endif
