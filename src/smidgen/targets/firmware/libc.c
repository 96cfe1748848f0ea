/* The four functions of string.h that compilers call on their own; word-wise where aligned.
 *
 * Both toolchains link these, so that a measurement does not depend on which C library happens
 * to be installed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Without this a compiler recognizes the loops below as memcpy and calls itself. */
#if defined(__clang__)
#define SM_NOT_A_BUILTIN __attribute__((no_builtin))
#else
#define SM_NOT_A_BUILTIN __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

#define SM_WORD_BYTES sizeof(uint32_t)

/* Words may alias any type here. */
typedef uint32_t __attribute__((may_alias)) sm_word;

static int sm_aligned(const void *a, const void *b) {
  return (((uintptr_t)a | (uintptr_t)b) & (SM_WORD_BYTES - 1)) == 0;
}

SM_NOT_A_BUILTIN void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  unsigned char *out = to;
  const unsigned char *in = from;
  if (sm_aligned(to, from)) {
    for (; bytes >= SM_WORD_BYTES; bytes -= SM_WORD_BYTES) {
      *(sm_word *)(void *)out = *(const sm_word *)(const void *)in;
      out += SM_WORD_BYTES;
      in += SM_WORD_BYTES;
    }
  }
  for (; bytes > 0; --bytes) {
    *out++ = *in++;
  }
  return to;
}

SM_NOT_A_BUILTIN void *memmove(void *to, const void *from, size_t bytes) {
  unsigned char *out = to;
  const unsigned char *in = from;
  if ((uintptr_t)out - (uintptr_t)in >= bytes) {
    return memcpy(to, from, bytes); /* forwards is safe */
  }
  if (sm_aligned(out + bytes, in + bytes)) {
    for (; bytes >= SM_WORD_BYTES; bytes -= SM_WORD_BYTES) {
      *(sm_word *)(void *)(out + bytes - SM_WORD_BYTES) =
          *(const sm_word *)(const void *)(in + bytes - SM_WORD_BYTES);
    }
  }
  for (; bytes > 0; --bytes) {
    out[bytes - 1] = in[bytes - 1];
  }
  return to;
}

SM_NOT_A_BUILTIN void *memset(void *to, int value, size_t bytes) {
  unsigned char *out = to;
  const unsigned char byte = (unsigned char)value;
  for (; bytes > 0 && ((uintptr_t)out & (SM_WORD_BYTES - 1)) != 0; --bytes) {
    *out++ = byte;
  }
  const uint32_t word = byte * 0x01010101u;
  for (; bytes >= SM_WORD_BYTES; bytes -= SM_WORD_BYTES) {
    *(sm_word *)(void *)out = word;
    out += SM_WORD_BYTES;
  }
  for (; bytes > 0; --bytes) {
    *out++ = byte;
  }
  return to;
}

SM_NOT_A_BUILTIN int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *left = a;
  const unsigned char *right = b;
  for (; bytes > 0; --bytes, ++left, ++right) {
    if (*left != *right) {
      return *left < *right ? -1 : 1;
    }
  }
  return 0;
}
