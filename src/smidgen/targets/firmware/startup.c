/* From reset to sm_main: vector table, .data, .bss and the FPU on any Cortex-M, and the same
 * without the first and the last on 32-bit RISC-V. */
#include "sm_harness.h"

extern uint32_t sm_data_image[]; /* where .data lies in flash */
extern uint32_t sm_data_begin[];
extern uint32_t sm_data_end[];
extern uint32_t sm_bss_begin[];
extern uint32_t sm_bss_end[];
extern uint32_t sm_stack_top[];

void sm_fault(void);

#if defined(__riscv)
/* RISC-V loads no stack pointer by itself and has no table of vectors: the reset code lies first
 * in flash and sets both. */
void sm_start(void);
#define SM_START sm_start
__asm(".section .vectors, \"ax\", @progbits\n"
      ".globl sm_reset\n"
      ".type sm_reset, @function\n"
      "sm_reset:\n"
      "  la sp, sm_stack_top\n"
      "  la t0, sm_fault\n"
      "  .option push\n"
      "  .option arch, +zicsr\n"
      "  csrw mtvec, t0\n"
      "  .option pop\n"
      "  tail sm_start\n"
      ".size sm_reset, . - sm_reset\n"
      ".text\n");
#else
void sm_reset(void);
#define SM_START sm_reset
#endif

__attribute__((noreturn, used)) void SM_START(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  /* Coprocessors 10 and 11 (FPU, Helium): full access, before any floating-point register. */
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm volatile("dsb\n\tisb" ::: "memory");
#endif
  /* Volatile, so that no compiler turns these loops into library calls. */
  const uint32_t *from = sm_data_image;
  for (volatile uint32_t *to = sm_data_begin; to < sm_data_end; ++to) {
    *to = *from++;
  }
  for (volatile uint32_t *to = sm_bss_begin; to < sm_bss_end; ++to) {
    *to = 0;
  }
  sm_main();
  for (;;) {
  }
}

/* Every exception ends here, unless the harness has something better to do. */
__attribute__((weak, aligned(4))) void sm_fault(void) {
  for (;;) {
  }
}

#if !defined(__riscv)

typedef void (*sm_handler)(void);

typedef struct {
  uint32_t *initial_stack;
  sm_handler handlers[15];
} sm_vector_table;

__attribute__((section(".vectors"), used)) const sm_vector_table sm_vectors = {
    sm_stack_top,
    {
        sm_reset,
        sm_fault, /* NMI */
        sm_fault, /* hard fault */
        sm_fault, /* memory management */
        sm_fault, /* bus fault */
        sm_fault, /* usage fault */
        sm_fault, /* secure fault */
        0,
        0,
        0,
        sm_fault, /* SVCall */
        sm_fault, /* debug monitor */
        0,
        sm_fault, /* PendSV */
        sm_fault, /* SysTick */
    },
};
#endif
