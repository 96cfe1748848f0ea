/* Whether the core has only the 16-bit Thumb instructions: a Cortex-M0, M0+ or M1. */
#ifndef SM_THUMB1_H
#define SM_THUMB1_H

#if defined(__thumb__) && !defined(__thumb2__) && defined(__GNUC__)
#define SM_HAS_THUMB1 1
#else
#define SM_HAS_THUMB1 0
#endif

#endif
