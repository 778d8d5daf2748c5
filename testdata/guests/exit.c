// proc_exit in the middle of a call.
//
//   process  input: a number; sets the output "before", then exits with that code.
#include "guest.h"

__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn)) extern void proc_exit(i32 code);

EXPORT(process) i32 process(void) {
  u64 code = input_number();
  output("before", 6);
  proc_exit((i32)code);
}
