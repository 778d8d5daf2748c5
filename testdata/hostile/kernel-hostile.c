// Calls of extism:host/env with whatever arguments. It imports nothing else, so that it runs on any Extism host.
//
// One export for each function, named after it. Input: nothing, or one or two numbers of 8 bytes, little-endian: the arguments.
// Without input both are 0xfffffffffffffff0, far out of range. Where the function has a result it becomes the output (8 bytes).
//
//   script  input: any number of records of 17 bytes: the number of a function (its place in the list below, modulo their number)
//           and two arguments. Calls one after the other and outputs the results, 8 bytes each (0 for none). An argument with the
//           top bit set and the next one clear stands for the result of an earlier record: the low 32 bits modulo the number of
//           records before it choose which, and bits 32 to 61 are added to it, so that scripts can reach valid blocks.
#include "guest.h"

#define RECORD 17
#define MAX_RECORDS 4096

static u64 a, b;

static void arguments(void) {
  u64 n = input_length();
  a = b = ~0ull - 15;
  if (n >= 8) a = input_load_u64(0);
  if (n >= 16) b = input_load_u64(8);
}

static i32 output_u64(u64 v) {
  u64 offset = alloc(8);
  store_u64(offset, v);
  output_set(offset, 8);
  return 0;
}

#define RESULT(name, call) \
  EXPORT(name) i32 hostile_##name(void) { arguments(); return output_u64((u64)(call)); }
#define NOTHING(name, call) \
  EXPORT(name) i32 hostile_##name(void) { arguments(); call; return 0; }

RESULT(alloc, alloc(a))
NOTHING(free, release(a))
RESULT(length, length(a))
RESULT(length_unsafe, length_unsafe(a))
RESULT(load_u8, load_u8(a))
RESULT(load_u64, load_u64(a))
NOTHING(store_u8, store_u8(a, (u32)b))
NOTHING(store_u64, store_u64(a, b))
RESULT(input_load_u8, input_load_u8(a))
RESULT(input_load_u64, input_load_u64(a))
NOTHING(input_set, input_set(a, b))
NOTHING(output_set, output_set(a, b))
NOTHING(error_set, error_set(a))
RESULT(config_get, config_get(a))
RESULT(var_get, var_get(a))
NOTHING(var_set, var_set(a, b))
RESULT(http_request, http_request(a, b))
NOTHING(log_trace, log_trace(a))
NOTHING(log_debug, log_debug(a))
NOTHING(log_info, log_info(a))
NOTHING(log_warn, log_warn(a))
NOTHING(log_error, log_error(a))

// var_set_value: a good key, a hostile value.
EXPORT(var_set_value) i32 var_set_value(void) {
  arguments();
  u64 key = alloc(1);
  store_u8(key, 'k');
  var_set(key, b);
  return 0;
}

static u64 call(u32 function) {
  switch (function) {
  case 0: return alloc(a);
  case 1: release(a); return 0;
  case 2: return length(a);
  case 3: return length_unsafe(a);
  case 4: return load_u8(a);
  case 5: return load_u64(a);
  case 6: store_u8(a, (u32)b); return 0;
  case 7: store_u64(a, b); return 0;
  case 8: return input_offset();
  case 9: return input_length();
  case 10: return input_load_u8(a);
  case 11: return input_load_u64(a);
  case 12: output_set(a, b); return 0;
  case 13: error_set(a); return 0;
  case 14: return config_get(a);
  case 15: return var_get(a);
  case 16: var_set(a, b); return 0;
  default: return (u64)http_status_code();
  }
}
#define FUNCTIONS 18

static u64 results[MAX_RECORDS];

static u64 argument(u64 at, u32 records) {
  u64 v = 0;
  for (u32 i = 0; i < 8; i++) v |= (u64)input_load_u8(at + i) << (8 * i);
  if (records && v >> 62 == 2) v = results[(u32)v % records] + (v >> 32 & 0x3fffffff);
  return v;
}

EXPORT(script) i32 script(void) {
  u64 n = input_length() / RECORD;
  if (n > MAX_RECORDS) n = MAX_RECORDS;
  for (u32 i = 0; i < n; i++) {
    u64 at = (u64)i * RECORD;
    a = argument(at + 1, i);
    b = argument(at + 9, i);
    results[i] = call(input_load_u8(at) % FUNCTIONS);
  }
  u64 offset = alloc(n * 8);
  for (u32 i = 0; i < n; i++) store_u64(offset + 8 * i, results[i]);
  output_set(offset, n * 8);
  return 0;
}
