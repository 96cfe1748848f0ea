/* FLOOR_MOD, float32: what a / b rounded down leaves. */
#ifndef SM_FLOOR_MOD_FLOAT32_H
#define SM_FLOOR_MOD_FLOAT32_H

#include "math_fmod.h"
#include "pair.h"

static inline float sm_floor_mod(float a, float b) {
  const float left = sm_fmod(a, b);
  return left != 0.0f && (b < 0.0f) != (left < 0.0f) ? left + b : left;
}

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_floor_mod_float32(const sm_pair_params *p, const float *a, const float *b,
                                    float *output) {
  SM_EACH_PAIR(p, float, a, b, output, sm_floor_mod(x, y));
}

#endif
