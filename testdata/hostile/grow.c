// Linear memory: grow it, fill it, tell its size.
//
//   process  input: a number of pages; grows by so many at once, writes to each, and outputs the size in pages.
//            Fails with "memory.grow refused" when it cannot.
//   size     outputs the size in pages, without growing: 2 in a pristine sandbox.
//   grow     grows page by page until it is refused, then fails with the same message: a guest that behaves.
//   touch    grows page by page, writes to each, and traps when it is refused: what most runtimes do.
#include "guest.h"

#define PAGE 65536

static u32 pages(void) { return (u32)__builtin_wasm_memory_size(0); }
static int grow(u32 by) { return __builtin_wasm_memory_grow(0, by) != (unsigned long)-1; }

EXPORT(size) i32 size(void) { return output_number(pages()); }

EXPORT(process) i32 process(void) {
  u32 by = (u32)input_number(), before = pages();
  if (!grow(by)) return fail("memory.grow refused");
  for (u32 i = 0; i < by; i++) *(volatile u8 *)((before + i) * PAGE) = 0xff;
  return output_number(pages());
}

EXPORT(grow) i32 grow_until_refused(void) {
  while (grow(1)) {}
  return fail("memory.grow refused");
}

EXPORT(touch) i32 touch(void) {
  for (;;) {
    u32 page = pages();
    if (!grow(1)) __builtin_trap();
    *(volatile u64 *)(page * PAGE) = ~0ull;
  }
}
