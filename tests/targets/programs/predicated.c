/* Instructions under IT are issued whether their condition holds or not: 64 x 9 + 4 on Armv7-M.
 *
 *   movs r2, #0        1
 * 1:
 *   ldrsb r3, [r0, r2] 64
 *   cmp r3, #0         64
 *   ite lt             64
 *   movlt r3, #1       64
 *   movge r3, #2       64
 *   strb r3, [r1, r2]  64
 *   adds r2, #1        64
 *   cmp r2, #64        64
 *   blt 1b             64
 *   movs r0, #0        1
 *   cbz r0, 2f         1
 * 2:
 *   bx lr              1
 */
#include <stdint.h>

int program(const int8_t *in, int8_t *out);

__attribute__((naked)) int program(__attribute__((unused)) const int8_t *in,
                                   __attribute__((unused)) int8_t *out) {
  __asm volatile(".syntax unified\n\t"
                 "movs r2, #0\n"
                 "1:\n\t"
                 "ldrsb r3, [r0, r2]\n\t"
                 "cmp r3, #0\n\t"
                 "ite lt\n\t"
                 "movlt r3, #1\n\t"
                 "movge r3, #2\n\t"
                 "strb r3, [r1, r2]\n\t"
                 "adds r2, #1\n\t"
                 "cmp r2, #64\n\t"
                 "blt 1b\n\t"
                 "movs r0, #0\n\t"
                 "cbz r0, 2f\n\t"
                 "nop\n"
                 "2:\n\t"
                 "bx lr");
}
