/* Elements of 2 or 4 bytes, read and written where elements of another type may lie. */
#ifndef SM_ITEMS_H
#define SM_ITEMS_H

#include "common.h"

/* `memcpy` of one element that is aligned to its size is one load or store, not a call. */
#if defined(__GNUC__)
#define SM_ITEM_COPY __builtin_memcpy
#define SM_ITEM_AT(at, bytes) __builtin_assume_aligned((at), (bytes))
#else
#define SM_ITEM_COPY memcpy
#define SM_ITEM_AT(at, bytes) (at)
#endif

/* Element number i of an array of int16. */
static inline int32_t sm_get_int16(const void *from, int32_t i) {
  int16_t value;
  SM_ITEM_COPY(&value, SM_ITEM_AT((const int16_t *)from + i, 2), 2);
  return value;
}

static inline int32_t sm_get_int32(const void *from, int32_t i) {
  int32_t value;
  SM_ITEM_COPY(&value, SM_ITEM_AT((const int32_t *)from + i, 4), 4);
  return value;
}

static inline void sm_put_int16(void *to, int32_t i, int32_t value) {
  const int16_t half = (int16_t)value;
  SM_ITEM_COPY(SM_ITEM_AT((int16_t *)to + i, 2), &half, 2);
}

static inline void sm_put_int32(void *to, int32_t i, int32_t value) {
  SM_ITEM_COPY(SM_ITEM_AT((int32_t *)to + i, 4), &value, 4);
}

#endif
