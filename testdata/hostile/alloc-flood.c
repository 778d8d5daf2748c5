// Blocks of the kernel's memory.
//
//   process   allocates blocks of 1 KiB until the host stops it.
//   one       input: a number of bytes; allocates one block of that size and outputs what length says of it.
//   balanced  input: a number; allocates and frees a block of 64 KiB so many times, which must not add up.
//   zero      outputs what alloc(0) gives.
#include "guest.h"

EXPORT(process) i32 process(void) {
  for (;;) alloc(1024);
}

EXPORT(one) i32 one(void) { return output_number(length(alloc(input_number()))); }

EXPORT(balanced) i32 balanced(void) {
  u64 n = input_number();
  for (u64 i = 0; i < n; i++) release(alloc(64 << 10));
  return output_number(n);
}

EXPORT(zero) i32 zero(void) { return output_number(alloc(0)); }
