/* Known amounts of everything: 1,000 bytes of constants, 200 of .data, 3,000 of .bss. */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);
int nobody_calls_this(int x);

static const SM_CONST int8_t weights[1000] = {1, 2, 3};
static const int8_t table[64] = {5, 6, 7};
static volatile int8_t initialized[200] = {9};
static volatile int8_t zeroed[3000 - 128]; /* the harness has 128 more */

__attribute__((used)) static const int8_t *const keep = weights;

int nobody_calls_this(int x) { return x * weights[x] + 12345; }

int program(const int8_t *in, int8_t *out) {
  for (int i = 0; i < 64; ++i) {
    zeroed[in[i] & 63] = initialized[i];
    out[i] = (int8_t)(weights[(in[i] & 63) * 15] + table[in[i] & 63] + zeroed[2 * i]);
  }
  return 0;
}
