// Progress and cancelling.
//
//   process  input: a number of steps; reports each with the message "step N" and outputs the number.
//   wait     reports steps 1 and 2 of 3, then waits in a loop until taskhost_cancelled gives 1, and fails with "stopped".
//   odd      values out of range: step past total, negative numbers, NaN, infinities, a long message, bad UTF-8; outputs "ok".
//   flood    reports progress for ever.
#include "guest.h"

static const double nan = __builtin_nan("");

EXPORT(process) i32 process(void) {
  i32 n = (i32)input_number();
  for (i32 i = 1; i <= n; i++) {
    char message[32] = "step ", digits[21];
    const char *d = decimal((u64)i, digits);
    for (u32 k = 0; d[k]; k++) message[5 + k] = d[k];
    u64 offset = text(message);
    taskhost_progress(i, n, nan, offset);
    release(offset);
  }
  return output_number((u64)n);
}

EXPORT(wait) i32 wait(void) {
  taskhost_progress(1, 3, nan, text("one"));
  taskhost_progress(2, 3, nan, text("waiting"));
  while (!taskhost_cancelled()) {}
  return fail("stopped");
}

EXPORT(odd) i32 odd(void) {
  taskhost_progress(5, 3, nan, 0);
  taskhost_progress(-1, -1, nan, 0);
  taskhost_progress(0, 0, nan, 0);
  taskhost_progress(1, 0, nan, 0);
  taskhost_progress(0x7fffffff, 0x7fffffff, nan, 0);
  taskhost_progress(0, 0, -1.0, 0);
  taskhost_progress(0, 0, 2.0, 0);
  taskhost_progress(0, 0, __builtin_inf(), 0);
  taskhost_progress(0, 0, -__builtin_inf(), 0);
  __builtin_memset(scratch, 'm', 4096);
  taskhost_progress(0, 0, 0.5, block(scratch, 4096));
  taskhost_progress(0, 0, 0.5, text("bad \xff\xfe utf-8"));
  taskhost_progress(0, 0, 0.5, 0);
  return output("ok", 2);
}

EXPORT(flood) i32 flood(void) {
  for (i32 i = 0;; i++) taskhost_progress(i & 1023, 1024, nan, 0);
}
