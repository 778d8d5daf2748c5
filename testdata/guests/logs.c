// Logs.
//
//   process  input: "COUNT BYTES"; logs COUNT messages of BYTES bytes at level info, and outputs COUNT.
//   levels   one message at each level ("at trace" to "at error"), whatever the level of the host; outputs get_log_level.
//   numbers  input: COUNT; logs 1, 2 ... COUNT at level warn.
//   flood    logs for ever.
//   inject   a message with a line break, a terminal escape and bad UTF-8.
#include "guest.h"

EXPORT(process) i32 process(void) {
  input();
  const char *p = (const char *)scratch;
  u64 count = number(&p), bytes = number(&p);
  if (bytes > sizeof scratch) bytes = sizeof scratch;
  __builtin_memset(scratch, 'l', bytes);
  u64 message = block(scratch, (u32)bytes);
  for (u64 i = 0; i < count; i++) log_info(message);
  return output_number(count);
}

EXPORT(levels) i32 levels(void) {
  log_trace(text("at trace"));
  log_debug(text("at debug"));
  log_info(text("at info"));
  log_warn(text("at warn"));
  log_error(text("at error"));
  return output_number((u64)get_log_level());
}

EXPORT(numbers) i32 numbers(void) {
  u64 count = input_number();
  for (u64 n = 1; n <= count; n++) {
    char digits[21];
    log_warn(text(decimal(n, digits)));
  }
  return 0;
}

EXPORT(flood) i32 flood(void) {
  u64 message = text("a message of a plugin that does not stop logging");
  for (;;) log_info(message);
}

EXPORT(inject) i32 inject(void) {
  log_info(text("first line\nlevel=ERROR msg=\"second line\" \x1b[31mred\xff"));
  return 0;
}
