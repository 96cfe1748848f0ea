/* The harness for an emulator that writes memory and sets the program counter itself. */
#include "sm_harness.h"

SM_HARNESS_CODE void sm_done(void) { __asm volatile("nop"); }

SM_HARNESS_CODE void sm_trace(int step, const void *data, size_t bytes) {
  /* Never executed: the emulator stops at this address and returns for it. */
  (void)step;
  (void)data;
  (void)bytes;
  __asm volatile("nop");
}

SM_HARNESS_CODE void sm_main(void) {
  (void)sm_invoke();
  sm_done();
}
