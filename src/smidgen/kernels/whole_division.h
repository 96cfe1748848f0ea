/* Division of int32 numbers. By 0 there is nothing sensible: everything is 0 then. */
#ifndef SM_WHOLE_DIVISION_H
#define SM_WHOLE_DIVISION_H

#include "common.h"

/* a / b towards zero. INT32_MIN / -1 does not fit and is INT32_MIN. */
static inline int32_t sm_quotient(int32_t a, int32_t b) {
  if (b == 0) {
    return 0;
  }
  return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

/* What is left of a then, with the sign of a. */
static inline int32_t sm_remainder(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }

/* Whether a quotient towards zero is one above that rounded down. */
static inline int32_t sm_is_above(int32_t a, int32_t b) {
  return sm_remainder(a, b) != 0 && (a < 0) != (b < 0);
}

#endif
