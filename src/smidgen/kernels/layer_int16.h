/* What the layers with int16 activations and int8 weights share: biases and scales. */
#ifndef SM_LAYER_INT16_H
#define SM_LAYER_INT16_H

#include "common.h"
#include "requantize.h"
#include "requantize_wide.h"

/* Sums start with the bias of their channel: `bias`, or `wide_bias` where that does not fit 32
 * bits; both may be NULL. */
static inline int64_t sm_bias_int16(const int32_t *bias, const int64_t *wide_bias,
                                    int32_t channel) {
  return bias ? bias[channel] : (wide_bias ? wide_bias[channel] : 0);
}

/* wide: 1 if sums have 64 bits; 0 if they fit 32 and are scaled as those of int8 layers are. */
static inline int32_t sm_scale_int16(int64_t acc, int32_t multiplier, int32_t shift, int32_t wide) {
  return wide ? sm_requantize_wide(acc, multiplier, shift)
              : sm_requantize((int32_t)acc, multiplier, shift);
}

#endif
