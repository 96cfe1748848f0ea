/* The harness of every program here: 64 bytes in, 64 bytes out. */
#include "sm_harness.h"

int program(const int8_t *in, int8_t *out);

static int8_t input[64];
static int8_t output[64];

SM_HARNESS_DATA const sm_buffer sm_inputs[] = {{input, sizeof input}, {0, 0}};
SM_HARNESS_DATA const sm_buffer sm_outputs[] = {{output, sizeof output}, {0, 0}};

SM_HARNESS_CODE int sm_invoke(void) { return program(input, output); }
