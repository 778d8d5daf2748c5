// Vars. When it starts, the var "n" is 100, and it logs "it starts"; with the configuration key "trap" it traps then.
//
//   count  adds 1 to the var "n" and outputs it.
//   fails  does the same, and fails.
//   traps  does the same, and traps.
//   get    outputs the var "n", or fails with "there is none".
//   unset  removes the var "n".
#include "guest.h"

EXPORT(_initialize) void initialize(void) {
  var_set(text("n"), text("100"));
  log_info(text("it starts"));
  if (config_get(text("trap"))) __builtin_trap();
}

static u64 add(void) {
  char buffer[21] = {0};
  u64 value = var_get(text("n"));
  if (value) taskhost_read(value, buffer, (u32)length(value));
  const char *p = buffer;
  u64 n = number(&p) + 1;
  var_set(text("n"), text(decimal(n, buffer)));
  return n;
}

EXPORT(count) i32 count(void) { return output_number(add()); }

EXPORT(fails) i32 fails(void) {
  add();
  return fail("after it was set");
}

EXPORT(traps) i32 traps(void) {
  add();
  __builtin_trap();
}

EXPORT(get) i32 get(void) {
  u64 value = var_get(text("n"));
  if (!value) return fail("there is none");
  output_set(value, length(value));
  return 0;
}

EXPORT(unset) i32 unset(void) {
  var_set(text("n"), 0);
  return 0;
}
