/* A program whose instructions can be counted by hand, the same on every core (RISC-V's names
 * differ, and so do its registers):
 *
 *   movs r2, #100      1
 * 1:
 *   subs r2, #1        100
 *   bne 1b             100, taken 99 times
 *   ldr r3, [r0]       1
 *   ldr r2, [r0, #4]   1, behind a load
 *   str r3, [r1]       1
 *   movs r0, #42       1
 *   bx lr              1
 */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

#if defined(__riscv)
__attribute__((naked)) int program(__attribute__((unused)) const int8_t *in,
                                   __attribute__((unused)) int8_t *out) {
  __asm volatile("li a2, 100\n"
                 "1:\n\t"
                 "addi a2, a2, -1\n\t"
                 "bnez a2, 1b\n\t"
                 "lw a3, 0(a0)\n\t"
                 "lw a2, 4(a0)\n\t"
                 "sw a3, 0(a1)\n\t"
                 "li a0, 42\n\t"
                 "ret");
}
#else
__attribute__((naked)) int program(__attribute__((unused)) const int8_t *in,
                                   __attribute__((unused)) int8_t *out) {
  __asm volatile(".syntax unified\n\t"
                 "movs r2, #100\n"
                 "1:\n\t"
                 "subs r2, #1\n\t"
                 "bne 1b\n\t"
                 "ldr r3, [r0]\n\t"
                 "ldr r2, [r0, #4]\n\t"
                 "str r3, [r1]\n\t"
                 "movs r0, #42\n\t"
                 "bx lr");
}
#endif
