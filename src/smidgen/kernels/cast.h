/* CAST: numbers as another element type, from each to each. */
#ifndef SM_CAST_H
#define SM_CAST_H

#include "unary.h"

/* Towards zero and limited; 0 for what is not a number. */
static inline int32_t sm_whole_int32(float x) {
  if (x < 2147483648.0f) {
    return x >= -2147483648.0f ? (int32_t)x : INT32_MIN;
  }
  return x >= 2147483648.0f ? INT32_MAX : 0;
}

static inline int64_t sm_whole_int64(float x) {
  if (x < 9223372036854775808.0f) {
    return x >= -9223372036854775808.0f ? (int64_t)x : INT64_MIN;
  }
  return x >= 9223372036854775808.0f ? INT64_MAX : 0;
}

/* The output may overwrite the input from its first element on, as far as it does not overtake. */
#define SM_CAST(name, From, To, value)                                                             \
  SM_KERNEL void sm_cast_##name(const sm_unary_params *p, const From *input, To *output) {         \
    for (int32_t i = 0; i < p->size; ++i) {                                                        \
      const From x = input[i];                                                                     \
      output[i] = value;                                                                           \
    }                                                                                              \
  }

#define SM_CASTS_OF_INTEGERS(from, From)                                                           \
  SM_CAST(from##_float32, From, float, (float)x)                                                   \
  SM_CAST(from##_int8, From, int8_t, (int8_t)x)                                                    \
  SM_CAST(from##_uint8, From, uint8_t, (uint8_t)x)                                                 \
  SM_CAST(from##_int16, From, int16_t, (int16_t)x)                                                 \
  SM_CAST(from##_int32, From, int32_t, (int32_t)x)                                                 \
  SM_CAST(from##_int64, From, int64_t, (int64_t)x)                                                 \
  SM_CAST(from##_bool, From, uint8_t, x != 0)

SM_CASTS_OF_INTEGERS(int8, int8_t)
SM_CASTS_OF_INTEGERS(uint8, uint8_t)
SM_CASTS_OF_INTEGERS(int16, int16_t)
SM_CASTS_OF_INTEGERS(int32, int32_t)
SM_CASTS_OF_INTEGERS(int64, int64_t)
SM_CASTS_OF_INTEGERS(bool, uint8_t)

SM_CAST(float32_float32, float, float, x)
SM_CAST(float32_int8, float, int8_t, (int8_t)sm_whole_int32(x))
SM_CAST(float32_uint8, float, uint8_t, (uint8_t)sm_whole_int32(x))
SM_CAST(float32_int16, float, int16_t, (int16_t)sm_whole_int32(x))
SM_CAST(float32_int32, float, int32_t, sm_whole_int32(x))
SM_CAST(float32_int64, float, int64_t, sm_whole_int64(x))
SM_CAST(float32_bool, float, uint8_t, x != 0.0f)

#endif
