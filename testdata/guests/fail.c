// The ways to fail without a trap.
//
//   process       error_set with the input as the message, and returns 1.
//   code          input: a number; returns it, without a message.
//   invalid       taskhost_invalid_input with the input as the message, and returns 1.
//   message_only  sets an error and returns 0.
//   with_output   sets an output, then fails.
//   gives_up      error_set with the input as the message, and then unreachable.
//   refuses       taskhost_invalid_input with the input as the message, and then unreachable.
//   fine          outputs "fine".
#include "guest.h"

EXPORT(process) i32 process(void) {
  error_set(block(scratch, input()));
  return 1;
}

EXPORT(code) i32 code(void) { return (i32)input_number(); }

EXPORT(invalid) i32 invalid(void) {
  taskhost_invalid_input(block(scratch, input()));
  return 1;
}

EXPORT(message_only) i32 message_only(void) {
  fail("a message, and yet 0");
  return 0;
}

EXPORT(with_output) i32 with_output(void) {
  output("half of it", 10);
  return fail("stopped half way");
}

EXPORT(gives_up) i32 gives_up(void) {
  error_set(block(scratch, input()));
  __builtin_trap();
}

EXPORT(refuses) i32 refuses(void) {
  taskhost_invalid_input(block(scratch, input()));
  __builtin_trap();
}

EXPORT(fine) i32 fine(void) { return output("fine", 4); }
