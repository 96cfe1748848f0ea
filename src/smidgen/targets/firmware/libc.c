/* The four functions of string.h that compilers call on their own; word-wise where they can.
 *
 * Both toolchains link these, so that a measurement does not depend on which C library happens
 * to be installed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Without this a compiler recognizes the loops below as memcpy and calls itself. For size at every
 * optimization level: unrolled, each of these would take 300 bytes of flash. */
#if defined(__clang__)
#define SM_LIBRARY __attribute__((no_builtin, minsize))
#else
#define SM_LIBRARY __attribute__((optimize("Os", "no-tree-loop-distribute-patterns")))
#endif

#define SM_WORD_BYTES sizeof(uint32_t)

/* A word that may alias any type; on cores that load words from anywhere, at any address. */
#if defined(__ARM_FEATURE_UNALIGNED)
typedef struct {
  uint32_t bits;
} __attribute__((packed, may_alias)) sm_word;
#else
typedef struct {
  uint32_t bits;
} __attribute__((may_alias)) sm_word;
#endif

static int sm_by_words(const void *a, const void *b) {
#if defined(__ARM_FEATURE_UNALIGNED)
  (void)a;
  (void)b;
  return 1;
#else
  return (((uintptr_t)a | (uintptr_t)b) & (SM_WORD_BYTES - 1)) == 0;
#endif
}

SM_LIBRARY void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  unsigned char *out = to;
  const unsigned char *in = from;
  if (sm_by_words(to, from)) {
    for (; bytes >= SM_WORD_BYTES; bytes -= SM_WORD_BYTES) {
      ((sm_word *)(void *)out)->bits = ((const sm_word *)(const void *)in)->bits;
      out += SM_WORD_BYTES;
      in += SM_WORD_BYTES;
    }
  }
  for (; bytes > 0; --bytes) {
    *out++ = *in++;
  }
  return to;
}

SM_LIBRARY void *memmove(void *to, const void *from, size_t bytes) {
  unsigned char *out = to;
  const unsigned char *in = from;
  if ((uintptr_t)out - (uintptr_t)in >= bytes) {
    return memcpy(to, from, bytes); /* forwards is safe */
  }
  if (sm_by_words(out + bytes, in + bytes)) {
    for (; bytes >= SM_WORD_BYTES; bytes -= SM_WORD_BYTES) {
      sm_word *last_out = (void *)(out + bytes - SM_WORD_BYTES);
      const sm_word *last_in = (const void *)(in + bytes - SM_WORD_BYTES);
      last_out->bits = last_in->bits;
    }
  }
  for (; bytes > 0; --bytes) {
    out[bytes - 1] = in[bytes - 1];
  }
  return to;
}

SM_LIBRARY void *memset(void *to, int value, size_t bytes) {
  unsigned char *out = to;
  const unsigned char byte = (unsigned char)value;
  for (; bytes > 0 && ((uintptr_t)out & (SM_WORD_BYTES - 1)) != 0; --bytes) {
    *out++ = byte;
  }
  const uint32_t word = byte * 0x01010101u;
  for (; bytes >= SM_WORD_BYTES; bytes -= SM_WORD_BYTES) {
    ((sm_word *)(void *)out)->bits = word;
    out += SM_WORD_BYTES;
  }
  for (; bytes > 0; --bytes) {
    *out++ = byte;
  }
  return to;
}

SM_LIBRARY int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *left = a;
  const unsigned char *right = b;
  for (; bytes > 0; --bytes, ++left, ++right) {
    if (*left != *right) {
      return *left < *right ? -1 : 1;
    }
  }
  return 0;
}
