/* ADD and SUB, int8, as a plane. */
#ifndef SM_SUM_INT8_PLANE_H
#define SM_SUM_INT8_PLANE_H

#include "plane_int8.h"

/* May compute in place over an operand that has the output's size. */
SM_KERNEL void sm_sum_int8_plane(const sm_plane_int8_params *p, const int8_t *a, const int8_t *b,
                                 int8_t *output) {
  sm_plane_int8(p, a, b, output, 0);
}

#endif
