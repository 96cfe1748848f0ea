/* What goes wrong on a chip. */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

int program(const int8_t *in, int8_t *out) {
#if defined(STRAY_READ)
  out[0] = *(const volatile int8_t *)0x60000000u;
#elif defined(WRITE_TO_FLASH)
  *(volatile int8_t *)(uintptr_t)&program = 1;
#elif defined(ENDLESS)
  for (;;) {
    __asm volatile("");
  }
#elif defined(UNDEFINED)
#if defined(__riscv)
  __asm volatile("unimp");
#else
  __asm volatile("udf #0");
#endif
#elif defined(UNALIGNED)
  out[0] = (int8_t)*(const volatile int32_t *)(const void *)(in + 1);
#endif
  return in[0];
}
