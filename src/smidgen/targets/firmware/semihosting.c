/* The harness for QEMU: reads the inputs from a file, runs the model, writes what came out.
 *
 * Files go through semihosting, which QEMU serves in its working directory, on Arm and RISC-V by
 * the same numbers. The output file holds the status and the peak stack as two 32-bit words, then
 * every output. */
#include "sm_harness.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };
enum { OPEN_READ_BINARY = 1, OPEN_WRITE_BINARY = 5 };
enum { EXIT_SUCCESS_REASON = 0x20026, EXIT_RUN_TIME_ERROR = 0x20023 };

#define SM_PAINT 0xA5A5A5A5u
#define SM_STACK_OVERFLOW 0xFFFFFFFFu

extern uint32_t sm_stack_limit[];

void sm_fault(void); /* replaces the one of startup.c */

SM_HARNESS_DATA static const char sm_input_name[] = "input.bin";
SM_HARNESS_DATA static const char sm_output_name[] = "output.bin";

#if defined(__riscv)
#define SM_READ_SP "mv %0, sp"
SM_HARNESS_CODE static uint32_t sm_semihost(uint32_t operation, uint32_t argument) {
  register uint32_t a0 __asm("a0") = operation;
  register uint32_t a1 __asm("a1") = argument;
  /* Three uncompressed instructions in one page are the request. */
  __asm volatile(".option push\n.option norvc\n.balign 16\n"
                 "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                 : "+r"(a0)
                 : "r"(a1)
                 : "memory");
  return a0;
}
#else
#define SM_READ_SP "mov %0, sp"
SM_HARNESS_CODE static uint32_t sm_semihost(uint32_t operation, uint32_t argument) {
  register uint32_t r0 __asm("r0") = operation;
  register uint32_t r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
#endif

SM_HARNESS_CODE static uint32_t sm_open(const char *name, uint32_t length, uint32_t mode) {
  const uint32_t block[3] = {(uint32_t)name, mode, length};
  return sm_semihost(SYS_OPEN, (uint32_t)block);
}

SM_HARNESS_CODE static void sm_transfer(uint32_t operation, uint32_t file, void *data,
                                        uint32_t bytes) {
  const uint32_t block[3] = {file, (uint32_t)data, bytes};
  (void)sm_semihost(operation, (uint32_t)block);
}

/* Exceptions end the run instead of hanging it. */
__attribute__((aligned(4))) SM_HARNESS_CODE void sm_fault(void) {
  (void)sm_semihost(SYS_EXIT, EXIT_RUN_TIME_ERROR);
  for (;;) {
  }
}

SM_HARNESS_CODE void sm_done(void) { __asm volatile("nop"); }

SM_HARNESS_CODE void sm_trace(int step, const void *data, size_t bytes) {
  (void)step;
  (void)data;
  (void)bytes;
}

SM_HARNESS_CODE void sm_main(void) {
  uint32_t result[2];
  uint32_t file = sm_open(sm_input_name, sizeof sm_input_name - 1, OPEN_READ_BINARY);
  volatile uint32_t *word;
  volatile uint32_t *before;
  for (const sm_buffer *input = sm_inputs; input->data != NULL; ++input) {
    sm_transfer(SYS_READ, file, input->data, input->bytes);
  }

  /* Paint up to the stack pointer, here and not in a function, whose frame would be in the way. */
  __asm volatile(SM_READ_SP : "=r"(before));
  for (word = sm_stack_limit; word < before; ++word) {
    *word = SM_PAINT;
  }
  result[0] = (uint32_t)sm_invoke();
  sm_done();
  for (word = sm_stack_limit; word < before && *word == SM_PAINT; ++word) {
  }
  result[1] = word == sm_stack_limit ? SM_STACK_OVERFLOW : (uint32_t)before - (uint32_t)word;

  file = sm_open(sm_output_name, sizeof sm_output_name - 1, OPEN_WRITE_BINARY);
  sm_transfer(SYS_WRITE, file, result, sizeof result);
  for (const sm_buffer *output = sm_outputs; output->data != NULL; ++output) {
    sm_transfer(SYS_WRITE, file, output->data, output->bytes);
  }
  (void)sm_semihost(SYS_EXIT, EXIT_SUCCESS_REASON);
  for (;;) {
  }
}
