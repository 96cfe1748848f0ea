/* Moving bytes: few of them without a call, many of them by words. */
#ifndef SM_BYTES_H
#define SM_BYTES_H

#include "dsp.h"

/* Whether words may be loaded from and stored to any address. */
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__)
#define SM_HAS_UNALIGNED 1
#else
#define SM_HAS_UNALIGNED 0
#endif

/* Copies n bytes, the first ones first: `to` may lie over `from`, at or below it. */
static inline void sm_copy_bytes_down(uint8_t *to, const uint8_t *from, int32_t n) {
#if SM_HAS_UNALIGNED
  const uint8_t *end = from + (n & ~15);
  for (; from != end; to += 16, from += 16) {
    const uint32_t a = sm_load32(from), b = sm_load32(from + 4);
    const uint32_t c = sm_load32(from + 8), d = sm_load32(from + 12);
    sm_store32(to, a);
    sm_store32(to + 4, b);
    sm_store32(to + 8, c);
    sm_store32(to + 12, d);
  }
  for (end += n & 12; from != end; to += 4, from += 4) {
    sm_store32(to, sm_load32(from));
  }
  if (n & 2) {
    sm_store16(to, sm_load16(from));
    to += 2;
    from += 2;
  }
  if (n & 1) {
    *to = *from;
  }
#else
  memmove(to, from, (size_t)n);
#endif
}

/* Sets n bytes. */
static SM_PART void sm_fill_bytes(uint8_t *to, int32_t value, int32_t n) {
#if SM_HAS_UNALIGNED
  const uint32_t word = sm_four8(value);
  const uint8_t *end = to + (n & ~15);
  for (; to != end; to += 16) {
    sm_store32(to, word);
    sm_store32(to + 4, word);
    sm_store32(to + 8, word);
    sm_store32(to + 12, word);
  }
  for (end += n & 12; to != end; to += 4) {
    sm_store32(to, word);
  }
  if (n & 2) {
    sm_store16(to, word);
    to += 2;
  }
  if (n & 1) {
    *to = (uint8_t)word;
  }
#else
  memset(to, value, (size_t)n);
#endif
}

#endif
