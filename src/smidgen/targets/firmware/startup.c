/* From reset to sm_main on any Cortex-M: vector table, .data, .bss and the FPU. */
#include "sm_harness.h"

extern uint32_t sm_data_image[]; /* where .data lies in flash */
extern uint32_t sm_data_begin[];
extern uint32_t sm_data_end[];
extern uint32_t sm_bss_begin[];
extern uint32_t sm_bss_end[];
extern uint32_t sm_stack_top[];

void sm_reset(void);
void sm_fault(void);

__attribute__((noreturn)) void sm_reset(void) {
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
__attribute__((weak)) void sm_fault(void) {
  for (;;) {
  }
}

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
