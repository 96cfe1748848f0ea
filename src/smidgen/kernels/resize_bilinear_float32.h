/* RESIZE_BILINEAR, float32: pixels between four of the image. */
#ifndef SM_RESIZE_BILINEAR_FLOAT32_H
#define SM_RESIZE_BILINEAR_FLOAT32_H

#include "common.h"

/* Output row y lies at (y + half) * scale_y - half in the image; columns alike. */
typedef struct {
  int32_t in_h, in_w, out_h, out_w, channels;
  float scale_y, scale_x;
  float half;
} sm_resize_bilinear_float32_params;

/* The two rows or columns that a position lies between, and its distance from the lower one. */
typedef struct {
  int32_t lower, upper;
  float weight;
} sm_resize_float_place;

/* The place of a position, above -1, on an axis of `size`. */
static inline sm_resize_float_place sm_resize_float_place_of(float at, int32_t size) {
  sm_resize_float_place place;
  const int32_t whole = (int32_t)at, next = whole + (at > (float)whole ? 1 : 0);
  place.lower = whole < size - 1 ? whole : size - 1;
  place.upper = next < size - 1 ? next : size - 1;
  place.weight = at - (float)place.lower;
  return place;
}

SM_KERNEL void sm_resize_bilinear_float32(const sm_resize_bilinear_float32_params *p,
                                          const float *input, float *output) {
  const int32_t channels = p->channels;
  const float half = p->half;
  for (int32_t y = 0; y < p->out_h; ++y) {
    const sm_resize_float_place row =
        sm_resize_float_place_of(((float)y + half) * p->scale_y - half, p->in_h);
    const float *const top = input + row.lower * p->in_w * channels;
    const float *const bottom = input + row.upper * p->in_w * channels;
    const float dy = row.weight;
    for (int32_t x = 0; x < p->out_w; ++x) {
      const sm_resize_float_place col =
          sm_resize_float_place_of(((float)x + half) * p->scale_x - half, p->in_w);
      const int32_t left = col.lower * channels, right = col.upper * channels;
      const float dx = col.weight;
      for (int32_t c = 0; c < channels; ++c) {
        *output++ = top[left + c] * (1.0f - dy) * (1.0f - dx) +
                    bottom[left + c] * dy * (1.0f - dx) + top[right + c] * (1.0f - dy) * dx +
                    bottom[right + c] * dy * dx;
      }
    }
  }
}

#endif
