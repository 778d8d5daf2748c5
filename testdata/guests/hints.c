// What the host gives hints about, and what it must not take for that.
//
//   leak    takes another 256 KiB in each call, and never gives them back.
//   fill    takes 256 KiB in each of the first twenty calls, as a cache that fills up does.
//   follow  takes memory where the input is larger than the memory.
//   quiet   sleeps for six seconds.
//   report  reports progress, then sleeps for six seconds.
//   brief   sleeps for four seconds.
//   draw    draws eight random bytes.
#include "guest.h"

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) extern
WASI(random_get) i32 random_get(void *to, u32 length);
WASI(poll_oneoff) i32 poll_oneoff(const void *in, void *out, u32 count, u32 *events);

static i32 take(u32 pages) {
  return __builtin_wasm_memory_grow(0, pages) == (unsigned long)-1 ? fail("memory.grow refused") : 0;
}

static i32 doze(u64 seconds) {
  struct {
    u64 userdata;
    u32 kind, pad;
    u32 clock, pad2;
    u64 timeout, precision;
    u32 flags, pad3;
  } wait = {.clock = 1, .timeout = seconds * 1000000000};
  u8 event[32];
  u32 events;
  return poll_oneoff(&wait, event, 1, &events);
}

EXPORT(leak) i32 leak(void) { return take(4); }

EXPORT(fill) i32 fill(void) {
  static int calls;
  return calls++ < 20 ? take(4) : 0;
}

EXPORT(follow) i32 follow(void) {
  u64 have = __builtin_wasm_memory_size(0), need = input_length() >> 12;
  return need > have ? take((u32)(need - have)) : 0;
}

EXPORT(quiet) i32 quiet(void) { return doze(6); }

EXPORT(report) i32 report(void) {
  taskhost_progress(0, 0, 0.5, 0);
  return doze(6);
}

EXPORT(brief) i32 brief(void) { return doze(4); }

EXPORT(draw) i32 draw(void) {
  u64 bytes;
  return random_get(&bytes, sizeof bytes);
}
