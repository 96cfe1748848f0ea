/* A QEMU plugin that counts how often every basic block runs between two addresses.
 *
 * Arguments: start=<address> stop=<address> skip_begin=<address> skip_end=<address> out=<file>.
 * Counting begins when the block at `start` is entered and ends when the one at `stop` is. Blocks
 * in [skip_begin, skip_end) are left out. The file gets one line for each block:
 * address, size in bytes, executions, fall-throughs.
 *
 * The few declarations of QEMU's plugin interface, version 1, that are needed are written out
 * here, so that no QEMU header has to be installed. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
  const char *target_name; /* no member behind it is looked at */
} qemu_info_t;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0 };
typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int, void *);
typedef void (*qemu_plugin_udata_cb_t)(qemu_plugin_id_t, void *);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_vcpu_tb_trans_cb_t);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, qemu_plugin_vcpu_udata_cb_t,
                                          enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, qemu_plugin_udata_cb_t, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

#if defined(_WIN32)
#error "QEMU plugins are not supported on Windows"
#endif
#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

typedef struct block {
  uint64_t address;
  uint64_t size;
  uint64_t executions;
  uint64_t fallthroughs;
  struct block *next; /* blocks are kept to the end: QEMU may still call back with one */
} block;

static block *blocks;
static block *last;
static int counting;
static int is_riscv; /* otherwise Thumb */
static uint64_t start, stop, skip_begin, skip_end;
static char out_path[4096];

static void on_execute(unsigned int cpu, void *data) {
  block *now = data;
  (void)cpu;
  if (now->address == start) {
    counting = 1;
  } else if (now->address == stop) {
    counting = 0;
  }
  if (!counting || (now->address >= skip_begin && now->address < skip_end)) {
    last = NULL;
    return;
  }
  if (last != NULL && last->address + last->size == now->address) {
    ++last->fallthroughs;
  }
  ++now->executions;
  last = now;
}

/* Not qemu_plugin_insn_size: before a page boundary QEMU peeks at the next instruction, and adds
 * what it has read to the size of this one. */
static uint64_t instruction_size(const struct qemu_plugin_insn *insn) {
  const unsigned char *bytes = qemu_plugin_insn_data(insn);
  const int is_long = is_riscv ? (bytes[0] & 3) == 3 : (bytes[1] >> 3) >= 0x1d;
  return is_long ? 4 : 2;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  size_t count = qemu_plugin_tb_n_insns(tb);
  struct qemu_plugin_insn *final = qemu_plugin_tb_get_insn(tb, count - 1);
  block *made = calloc(1, sizeof *made);
  (void)id;
  if (made == NULL) {
    abort();
  }
  made->address = qemu_plugin_tb_vaddr(tb);
  made->size = qemu_plugin_insn_vaddr(final) + instruction_size(final) - made->address;
  made->next = blocks;
  blocks = made;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execute, QEMU_PLUGIN_CB_NO_REGS, made);
}

static void on_exit(qemu_plugin_id_t id, void *data) {
  FILE *out = fopen(out_path, "w");
  (void)id;
  (void)data;
  if (out == NULL) {
    return;
  }
  for (const block *it = blocks; it != NULL; it = it->next) {
    if (it->executions > 0) {
      fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", it->address, it->size,
              it->executions, it->fallthroughs);
    }
  }
  fclose(out);
}

static uint64_t number(const char *argument, const char *name, uint64_t otherwise) {
  size_t length = strlen(name);
  return strncmp(argument, name, length) == 0 ? strtoull(argument + length, NULL, 0) : otherwise;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
  is_riscv = strncmp(info->target_name, "riscv", 5) == 0;
  for (int i = 0; i < argc; ++i) {
    start = number(argv[i], "start=", start);
    stop = number(argv[i], "stop=", stop);
    skip_begin = number(argv[i], "skip_begin=", skip_begin);
    skip_end = number(argv[i], "skip_end=", skip_end);
    if (strncmp(argv[i], "out=", 4) == 0) {
      snprintf(out_path, sizeof out_path, "%s", argv[i] + 4);
    }
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  qemu_plugin_register_atexit_cb(id, on_exit, NULL);
  return 0;
}
