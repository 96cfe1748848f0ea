/* RESIZE_BILINEAR, int8: pixels between four of the image, positions in 1/1024 of a pixel. */
#ifndef SM_RESIZE_BILINEAR_INT8_H
#define SM_RESIZE_BILINEAR_INT8_H

#include "common.h"
#include "requantize.h"

/* Output row y lies at y * scale_y + first_y in the image, in 1/1024 of a row; columns alike. */
typedef struct {
  int32_t in_h, in_w, out_h, out_w, channels;
  int32_t scale_y, first_y;
  int32_t scale_x, first_x;
} sm_resize_bilinear_int8_params;

/* The two rows or columns that a position lies between, and its distance from the lower one. */
typedef struct {
  int32_t lower, upper, weight;
} sm_resize_place;

/* The place of a position, at least -512, on an axis of `size`. */
static inline sm_resize_place sm_resize_place_of(int32_t at, int32_t size) {
  sm_resize_place place;
  place.lower = sm_clamp(at / 1024, 0, size - 1);
  place.upper = sm_clamp((at + 1023) / 1024, 0, size - 1);
  place.weight = at - place.lower * 1024;
  return place;
}

/* A sum of values by two weights, 1024 in all each, as a value; ties go away from zero. Weights
 * beyond the edge are up to 1536 for one pixel, so that no part of a sum leaves 31 bits. */
static inline int8_t sm_resize_value(int32_t sum) {
  return (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
}

SM_KERNEL void sm_resize_bilinear_int8(const sm_resize_bilinear_int8_params *p, const int8_t *input,
                                       int8_t *output) {
  const int32_t channels = p->channels;
  for (int32_t y = 0; y < p->out_h; ++y) {
    const sm_resize_place row = sm_resize_place_of(y * p->scale_y + p->first_y, p->in_h);
    const int8_t *const top = input + row.lower * p->in_w * channels;
    const int8_t *const bottom = input + row.upper * p->in_w * channels;
    for (int32_t x = 0; x < p->out_w; ++x) {
      const sm_resize_place col = sm_resize_place_of(x * p->scale_x + p->first_x, p->in_w);
      const int32_t left = col.lower * channels, right = col.upper * channels;
      const int32_t w11 = row.weight * col.weight, w10 = row.weight * 1024 - w11;
      const int32_t w01 = col.weight * 1024 - w11, w00 = (1 << 20) - w11 - w10 - w01;
      for (int32_t c = 0; c < channels; ++c) {
        const int32_t above = top[left + c] * w00 + top[right + c] * w01;
        *output++ = sm_resize_value(above + bottom[left + c] * w10 + bottom[right + c] * w11);
      }
    }
  }
}

#endif
