/* Rows of a window move to its start. */
#ifndef SM_MOVE_ROWS_H
#define SM_MOVE_ROWS_H

#include "common.h"

/* Moves bytes to a lower address; the two places may overlap. Like memmove, but quick on small
 * cores whatever the C library: four words at a time where both are aligned to four. */
static SM_PART void sm_move_rows(uint8_t *to, const uint8_t *from, size_t bytes) {
  if (((uintptr_t)to | (uintptr_t)from) % 4 == 0) {
    for (; bytes >= 16; bytes -= 16, to += 16, from += 16) {
      uint32_t words[4];
#if defined(__GNUC__)
      __builtin_memcpy(words, __builtin_assume_aligned(from, 4), 16);
      __builtin_memcpy(__builtin_assume_aligned(to, 4), words, 16);
#else
      memcpy(words, from, 16);
      memcpy(to, words, 16);
#endif
    }
  }
  memmove(to, from, bytes);
}

#endif
