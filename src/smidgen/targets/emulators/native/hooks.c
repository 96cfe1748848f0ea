/* What unicorn calls while it emulates: at the entry of every block, and on request at every
 * memory access.
 *
 * In C because this runs tens of millions of times a second of emulation; a Python hook costs a
 * factor of twenty. The layouts of the two tables are repeated in hooks.py. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t address; /* 0 marks a free slot: no block starts in the vector table */
  uint32_t size;
  uint64_t executions;
  uint64_t fallthroughs;
} sm_block;

typedef struct {
  sm_block *slots; /* open addressing */
  uint64_t mask;   /* number of slots - 1, a power of two */
  uint64_t used;
  uint64_t overflowed; /* set when the table is too full to go on */
  sm_block *last;
} sm_block_table;

void sm_count_block(void *engine, uint64_t address, uint32_t size, void *user_data) {
  sm_block_table *table = user_data;
  sm_block *last = table->last;
  sm_block *block;
  uint64_t index = (address >> 1) & table->mask;
  (void)engine;

  if (last != NULL && address == (uint64_t)last->address + last->size) {
    ++last->fallthroughs;
  }
  for (;; index = (index + 1) & table->mask) {
    block = &table->slots[index];
    if (block->address == (uint32_t)address && block->size == size) {
      break;
    }
    if (block->address == 0) {
      if (table->used * 4 > table->mask * 3) {
        table->overflowed = 1;
        return;
      }
      block->address = (uint32_t)address;
      block->size = size;
      ++table->used;
      break;
    }
  }
  ++block->executions;
  table->last = block;
}

typedef struct {
  uint64_t address; /* of the first unaligned access, 0 for none */
  uint64_t size;
  int (*stop)(void *engine); /* uc_emu_stop */
} sm_alignment;

void sm_check_alignment(void *engine, int type, uint64_t address, int size, int64_t value,
                        void *user_data) {
  sm_alignment *alignment = user_data;
  (void)type;
  (void)value;
  if ((address & (uint64_t)(size - 1)) != 0 && alignment->address == 0) {
    alignment->address = address;
    alignment->size = (uint64_t)size;
    (void)alignment->stop(engine);
  }
}
