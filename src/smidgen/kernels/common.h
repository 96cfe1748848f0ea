/* What every kernel includes: integer types and how kernels are compiled. */
#ifndef SM_COMMON_H
#define SM_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Kernels are functions in headers. By default each is compiled once and its layers share it;
 * define SM_KERNEL as `static inline` to let the compiler make a copy for each layer. Kernels that
 * build on others include their headers; what is not called is left out. */
#ifndef SM_KERNEL
#if defined(__GNUC__)
#define SM_KERNEL static __attribute__((noinline, unused))
#else
#define SM_KERNEL static
#endif
#endif

/* A part of a kernel that is compiled on its own, even where each layer has a copy of the kernel.
 */
#if defined(__GNUC__)
#define SM_PART __attribute__((noinline, unused))
#else
#define SM_PART
#endif

/* How often the inner loops of the large kernels are written out: 2, 4 or 8 times. The generated
 * source says so first, by what it was optimized for. */
#ifndef SM_UNROLL
#define SM_UNROLL 4
#endif

/* Infinity without math.h. */
#define SM_INFINITY __builtin_inff()

#endif
