/* Three steps, traced with -DSM_TRACE. The second runs ten times as long as the first. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef SM_TRACE
void sm_trace(int step, const void *data, size_t bytes);
#define TRACE(step, data, bytes) sm_trace(step, data, bytes)
#else
#define TRACE(step, data, bytes) (void)0
#endif

int program(const int8_t *in, int8_t *out);

__attribute__((noinline)) static void add_often(int8_t *values, int times) {
  for (int time = 0; time < times; ++time) {
    for (int i = 0; i < 64; ++i) {
      values[i] = (int8_t)(values[i] + 1);
    }
  }
}

int program(const int8_t *in, int8_t *out) {
  memcpy(out, in, 64);
  add_often(out, 1);
  TRACE(0, out, 64);
  add_often(out, 10);
  TRACE(1, out, 32);
  out[0] = 99;
  TRACE(2, out, 1);
  return 0;
}
