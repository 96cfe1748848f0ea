/* What every kernel includes: integer types and how kernels are compiled. */
#ifndef SM_COMMON_H
#define SM_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Kernels are functions in headers. By default each is compiled once and its layers share it;
 * define SM_KERNEL as `static inline` to let the compiler make a copy for each layer. */
#ifndef SM_KERNEL
#if defined(__GNUC__)
#define SM_KERNEL static __attribute__((noinline))
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

#endif
