/* The contract between a measured program and the emulators.
 *
 * The program under test supplies two tables, each ended by {0, 0}, and one function:
 *
 *     static int8_t arena[ARENA_BYTES];
 *     SM_HARNESS_DATA const sm_buffer sm_inputs[] = {{arena + 64, 1024}, {0, 0}};
 *     SM_HARNESS_DATA const sm_buffer sm_outputs[] = {{arena, 10}, {0, 0}};
 *     SM_HARNESS_CODE int sm_invoke(void) { return kws_invoke(arena); }
 *
 * The emulator writes the inputs, calls sm_invoke once and reads the outputs. Everything marked
 * SM_HARNESS_CODE or SM_HARNESS_DATA is left out of the sizes and of the instruction counts, so
 * what is measured is the model alone: every instruction that runs between the entry of
 * sm_invoke and its return and does not belong to the harness. The model must therefore be
 * compiled in another file than sm_invoke, or the compiler may inline it into the harness.
 */
#ifndef SM_HARNESS_H
#define SM_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#define SM_HARNESS_CODE __attribute__((section(".harness"), noinline, used))
#define SM_HARNESS_DATA __attribute__((section(".harness_data"), used))
#define SM_HARNESS_BSS __attribute__((section(".harness_bss"), used))

typedef struct {
  void *data;
  uint32_t bytes;
} sm_buffer;

extern const sm_buffer sm_inputs[];
extern const sm_buffer sm_outputs[];

/* Run the model once; 0 when it went well. */
int sm_invoke(void);

/* Called by a model built with -DSM_TRACE after each step, with the tensor it has just made. */
void sm_trace(int step, const void *data, size_t bytes);

/* Where startup.c hands over; the emulator stops here. */
void sm_main(void);

/* Where sm_invoke returns to. */
void sm_done(void);

#endif
