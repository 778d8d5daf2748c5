// Output of a chosen size.
//
//   process  input: a number of bytes; outputs so many x.
//   beyond   output_set of a range that is longer than its block.
//   twice    sets the output twice: the second is what counts ("two").
#include "guest.h"

EXPORT(process) i32 process(void) {
  u64 n = input_number();
  u64 offset = alloc(n);
  __builtin_memset(scratch, 'x', sizeof scratch);
  for (u64 done = 0; done < n;) {
    u64 part = n - done < sizeof scratch ? n - done : sizeof scratch;
    taskhost_write(offset + done, scratch, (u32)part);
    done += part;
  }
  output_set(offset, n);
  return 0;
}

EXPORT(beyond) i32 beyond(void) {
  output_set(text("short"), 1ull << 40);
  return 0;
}

EXPORT(twice) i32 twice(void) {
  output("one", 3);
  return output("two", 3);
}
