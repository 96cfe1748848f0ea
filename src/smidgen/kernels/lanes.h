/* Four sums of 24 bits in three words of 32, for cores that multiply one word at a time.
 *
 * The values a to d of four pixels lie in three words, a + 2^24 d, b + 2^16 d and c + 2^8 d. A
 * weight times each of them adds to four sums at once, modulo 2^32:
 *
 *   one = A + 2^24 D,  two = B + 2^16 D,  three = C + 2^8 D.
 *
 * The low 24 bits of `one` are A's, so that its upper 8 are D's lowest. They take D out of the
 * low 24 bits of `two`, which leaves B; and so on. */
#ifndef SM_LANES_H
#define SM_LANES_H

#include "common.h"
#include "requantize_short.h"
#include "thumb1.h"

typedef struct {
  uint32_t one, two, three;
} sm_lanes;

/* The low 24 bits, sign-extended. */
static inline int32_t sm_low24(uint32_t x) { return (int32_t)(x << 8) >> 8; }

/* The sums A to D. */
static inline void sm_lanes_apart(sm_lanes sums, int32_t apart[4]) {
  const int32_t a = sm_low24(sums.one);
  const uint32_t d8 = sums.one - (uint32_t)a; /* 2^24 D */
  const int32_t b = sm_low24(sums.two - (d8 >> 8));
  const uint32_t d16 = sums.two - (uint32_t)b; /* 2^16 D */
  const int32_t c = sm_low24(sums.three - (d16 >> 8));
  apart[0] = a;
  apart[1] = b;
  apart[2] = c;
  apart[3] = (int32_t)(sums.three - (uint32_t)c) >> 8;
}

/* The values of four pixels to words. */
static inline void sm_lanes_put(uint32_t *to, int8_t a, int8_t b, int8_t c, int8_t d) {
  const uint32_t last = (uint32_t)d;
  to[0] = (uint32_t)a + (last << 24);
  to[1] = (uint32_t)b + (last << 16);
  to[2] = (uint32_t)c + (last << 8);
}

/* Values of four pixels that become words: from[i][0], from[i][step] and on, before `end`. */
typedef struct {
  const int8_t *from[4];
  uint32_t *to;
  int32_t end, step; /* bytes */
  int32_t next;      /* bytes between words of one value and of the next */
  sm_lanes sums;     /* of the words so far */
} sm_lanes_values;

/* How the outputs of a layer that has no lines are made: rounded twice. */
typedef struct {
  const int32_t *multiplier, *bias; /* for each channel */
  const int8_t *shifts;
  int32_t offset;
} sm_lanes_exact;

/* A run over many channels of four pixels, or over many columns of four rows of one channel. Where
 * lanes_thumb1.h finds no lines it makes the sums of one item only. */
typedef struct {
  const uint32_t *x; /* three words for each weight */
  const void *weights;
  int32_t n;            /* weights of an item, 1 or more */
  sm_lanes none;        /* what sums start from */
  const sm_line *lines; /* of the item, or NULL */
  int32_t shift, low, high;
  int8_t *out;
  int32_t pixel_step, pixels; /* bytes between outputs of an item, and their number: 1 to 4 */
  int32_t items;              /* 1 or more */
  int32_t x_step;             /* bytes between columns */
  int32_t sums[4];            /* of the last item */
  int32_t out_step;           /* bytes between outputs of items */
  sm_lanes_exact exact;       /* of the item, where there are no lines */
} sm_lanes_run;

#endif
