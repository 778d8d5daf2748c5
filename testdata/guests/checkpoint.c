// Checkpoints.
//
//   count   loads a counter, adds 1 and saves it; fails with "not yet" until it is 3, and then outputs it.
//   save    input: the state; saves it, and outputs the host's message or "kept".
//   load    outputs the state, or fails with "there is none".
//   size    input: a number; saves a state of so many bytes, and outputs the host's message or "kept".
//   copies  input: the state; saves it and writes over the block, loads it, writes over that block, and outputs what it loads then.
//   forget  saves "state", and then an empty one; outputs the offset that it loads.
//   flood   saves its input for ever.
//   tidy    reports progress and waits until taskhost_cancelled gives 1; then it saves its input, and fails with "stopped".
#include "guest.h"

static i32 said(u64 message) {
  if (!message) return output("kept", 4);
  output_set(message, length(message));
  return 0;
}

EXPORT(count) i32 count(void) {
  char buffer[21] = {0};
  u64 state = taskhost_checkpoint_load();
  if (state) taskhost_read(state, buffer, (u32)length(state));
  release(state);
  const char *p = buffer;
  u64 n = number(&p) + 1;
  u64 message = taskhost_checkpoint_save(text(decimal(n, buffer)));
  if (message) {
    error_set(message);
    return 1;
  }
  return n < 3 ? fail("not yet") : output_number(n);
}

EXPORT(save) i32 save(void) { return said(taskhost_checkpoint_save(block(scratch, input()))); }

EXPORT(load) i32 load(void) {
  u64 state = taskhost_checkpoint_load();
  if (!state) return fail("there is none");
  output_set(state, length(state));
  return 0;
}

EXPORT(size) i32 size(void) { return said(taskhost_checkpoint_save(alloc(input_number()))); }

static void write_over(u64 offset) {
  for (u64 i = 0, n = length(offset); i < n; i++) store_u8(offset + i, 'x');
}

EXPORT(copies) i32 copies(void) {
  u64 state = block(scratch, input());
  u64 message = taskhost_checkpoint_save(state);
  if (message) return said(message);
  write_over(state);
  write_over(taskhost_checkpoint_load());
  return load();
}

EXPORT(forget) i32 forget(void) {
  taskhost_checkpoint_save(text("state"));
  taskhost_checkpoint_save(0);
  return output_number(taskhost_checkpoint_load());
}

EXPORT(flood) i32 flood(void) {
  u64 state = block(scratch, input());
  for (;;) release(taskhost_checkpoint_save(state));
}

EXPORT(tidy) i32 tidy(void) {
  u64 state = block(scratch, input());
  taskhost_progress(1, 2, 0.5, 0);
  while (!taskhost_cancelled()) {}
  taskhost_checkpoint_save(state);
  return fail("stopped");
}
