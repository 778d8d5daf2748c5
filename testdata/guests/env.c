// What Extism's functions give access to, one export each, so that a test can call them alone.
//
//   config     input: a key; outputs its value, or fails with "no such key".
//   var_set    input: "KEY VALUE".       var_get  input: a key; outputs the value, or fails with "no such var".
//   var_unset  input: a key.             count    adds 1 to the var "count" and outputs it.
//   http       input: the request as http_request wants it; outputs the body.
//   http_post  the same, with the body "hello".
//   status     input: as http; outputs the status code.
//   headers    input: as http; outputs the response's headers as JSON.
//   log_level  outputs get_log_level.
#include "guest.h"

static i32 output_block(u64 offset, const char *missing) {
  if (!offset) return missing ? fail(missing) : 0;
  output_set(offset, length(offset));
  return 0;
}

EXPORT(config) i32 config(void) { return output_block(config_get(block(scratch, input())), "no such key"); }
EXPORT(var_get) i32 get(void) { return output_block(var_get(block(scratch, input())), "no such var"); }

EXPORT(var_set) i32 set(void) {
  u32 n = input(), i = 0;
  while (i < n && scratch[i] != ' ') i++;
  var_set(block(scratch, i), i < n ? block(scratch + i + 1, n - i - 1) : 0);
  return 0;
}

EXPORT(var_unset) i32 unset(void) {
  var_set(block(scratch, input()), 0);
  return 0;
}

EXPORT(count) i32 count(void) {
  char buffer[21] = {0};
  u64 value = var_get(text("count"));
  if (value) taskhost_read(value, buffer, (u32)length(value));
  const char *p = buffer;
  u64 n = number(&p) + 1;
  var_set(text("count"), text(decimal(n, buffer)));
  return output_number(n);
}

EXPORT(http) i32 http(void) { return output_block(http_request(block(scratch, input()), 0), 0); }
EXPORT(http_post) i32 http_post(void) { return output_block(http_request(block(scratch, input()), text("hello")), 0); }

EXPORT(status) i32 status(void) {
  http_request(block(scratch, input()), 0);
  return output_number((u64)http_status_code());
}

EXPORT(headers) i32 headers(void) {
  http_request(block(scratch, input()), 0);
  return output_block(http_headers(), 0);
}

EXPORT(log_level) i32 log_level(void) { return output_number((u64)get_log_level()); }
