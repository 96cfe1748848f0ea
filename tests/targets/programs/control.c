/* Control flow: a jump table, function pointers, recursion, division, and the library. */
#include <stdint.h>
#include <string.h>

int program(const int8_t *in, int8_t *out);

typedef int (*operation)(int, int);

static int add(int a, int b) { return a + b; }
static int divide(int a, int b) { return b == 0 ? 0 : a / b; }
static int gcd(int a, int b) { return b == 0 ? a : gcd(b, a % b); }

static const operation operations[] = {add, divide, gcd};

static int step(int kind, int a, int b) {
  switch (kind) {
  case 0:
    return a ^ b;
  case 1:
    return a * 5 - b;
  case 2:
    return a * (1 << (b & 3));
  case 3:
    return a & ~b;
  case 4:
    return b - a;
  case 5:
    return a > b ? a : b;
  case 6:
    return (a | 1) % (b | 1);
  default:
    return operations[(uint32_t)(a + b) % 3](a, b);
  }
}

int program(const int8_t *in, int8_t *out) {
  int8_t scratch[80];
  memset(scratch, 3, sizeof scratch);
  for (uint32_t i = 0; i < 16; ++i) {
    memcpy(scratch + i, in + 3 * i, 1 + i);
    memmove(scratch + (i & 7), scratch + 2 * (i & 3), 5 + i);
  }
  int difference = memcmp(scratch, in, 40);
  int order = (difference > 0) - (difference < 0);
  for (int i = 0; i < 64; ++i) {
    out[i] = (int8_t)(step((in[i] + i) & 7, in[i], in[63 - i]) + scratch[i] + order);
  }
  return order > 0 ? 7 : -7;
}
