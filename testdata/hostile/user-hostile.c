// Calls of extism:host/user with whatever arguments, one export for each function and argument, named after it.
//
// Input: nothing, or 8 bytes, little-endian: an offset, or for the _pointer and _length ones a pointer or length in the low half.
// Without input it is 0xfffffffffffffff0.
#include "guest.h"

static u64 argument(void) {
  if (input_length() >= 8) return input_load_u64(0);
  return ~0ull - 15;
}

#define CALL(name, call) \
  EXPORT(name) i32 hostile_##name(void) { u64 a = argument(); call; return 0; }

CALL(progress, taskhost_progress(1, 2, 0.5, a))
CALL(metric_add_name, taskhost_metric_add(a, 1, 0))
CALL(metric_add_labels, taskhost_metric_add(text("m"), 1, a))
CALL(metric_set_name, taskhost_metric_set(a, 1, 0))
CALL(metric_set_labels, taskhost_metric_set(text("m"), 1, a))
CALL(metric_observe_name, taskhost_metric_observe(a, 1, 0))
CALL(metric_observe_labels, taskhost_metric_observe(text("m"), 1, a))
CALL(invalid_input, taskhost_invalid_input(a))
CALL(checkpoint_save, taskhost_checkpoint_save(a))
CALL(read_offset, taskhost_read(a, scratch, 16))
CALL(read_pointer, taskhost_read(text("sixteen bytes..."), (void *)(u32)a, 16))
CALL(read_length, taskhost_read(text("sixteen bytes..."), scratch, (u32)a))
CALL(write_offset, taskhost_write(a, scratch, 16))
CALL(write_pointer, taskhost_write(alloc(16), (void *)(u32)a, 16))
CALL(write_length, taskhost_write(alloc(16), scratch, (u32)a))
// Past the end of one block and into the next, which both are blocks' bytes; and past the end of all blocks.
CALL(read_across, (void)a; u64 o = text("short"); alloc(4096); taskhost_read(o, scratch, 4096))
CALL(read_beyond, (void)a; taskhost_read(text("short"), scratch, 4096))
CALL(write_across, (void)a; u64 o = alloc(16); alloc(4096); taskhost_write(o, scratch, 4096))
CALL(write_beyond, (void)a; taskhost_write(alloc(16), scratch, 4096))
// A range of nothing is no fault, wherever it is said to be within bounds.
CALL(nothing, (void)a; taskhost_read(0, 0, 0); taskhost_write(0, 0, 0))
