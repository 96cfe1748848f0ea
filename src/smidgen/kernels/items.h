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

/* An index, int64 if it is `wide`, int32 otherwise. Arenas are aligned to 4 bytes only. */
static inline void sm_put_index(void *to, int32_t i, int32_t index, int32_t wide) {
  if (wide) {
    const int64_t value = index;
    SM_ITEM_COPY(SM_ITEM_AT((uint8_t *)to + 8 * (size_t)i, 4), &value, 8);
  } else {
    sm_put_int32(to, i, index);
  }
}

#endif
