// Upper-cases the ASCII letters of UTF-8 text. The same processor stands beside this one in other languages.
// It needs no C library: the host's functions are imports, and the function that can be called is an export.

typedef unsigned char u8;
typedef unsigned u32;
typedef unsigned long long u64;

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name))) extern
IMPORT("extism:host/env", "alloc") u64 env_alloc(u64 length);
IMPORT("extism:host/env", "input_offset") u64 env_input_offset(void);
IMPORT("extism:host/env", "input_length") u64 env_input_length(void);
IMPORT("extism:host/env", "output_set") void env_output_set(u64 offset, u64 length);
IMPORT("extism:host/user", "taskhost_read") void taskhost_read(u64 offset, void *to, u32 length);
IMPORT("extism:host/user", "taskhost_write") void taskhost_write(u64 offset, const void *from, u32 length);
IMPORT("extism:host/user", "taskhost_progress") void taskhost_progress(int step, int total, double fraction, u64 message);
IMPORT("extism:host/user", "taskhost_invalid_input") void taskhost_invalid_input(u64 message);

#define PART 65536 // bytes between two reports of progress; also the size of a page of memory

extern u8 __heap_base; // the first free byte of memory, set by the linker

// utf8 returns the length of the character at p, of which n bytes are there, or 0 when it is none.
static u32 utf8(const u8 *p, u32 n) {
  u8 c = p[0], low = 0x80, high = 0xbf; // bounds of the second byte
  u32 length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  if (length == 0 || length > n) return 0;
  if (c == 0xe0) low = 0xa0;
  if (c == 0xed) high = 0x9f;
  if (c == 0xf0) low = 0x90;
  if (c == 0xf4) high = 0x8f;
  for (u32 i = 1; i < length; i++) {
    if (p[i] < low || p[i] > high) return 0;
    low = 0x80, high = 0xbf;
  }
  return length;
}

static int invalid(u32 at) {
  static const char text[] = "invalid UTF-8 at byte ";
  u8 message[40];
  u32 n = sizeof text - 1, digits = 1;
  __builtin_memcpy(message, text, n);
  for (u32 rest = at; rest > 9; rest /= 10) digits++;
  for (u32 i = digits; i > 0; i--, at /= 10) message[n + i - 1] = (u8)('0' + at % 10);
  u64 offset = env_alloc(n + digits);
  taskhost_write(offset, message, n + digits);
  taskhost_invalid_input(offset);
  return 1;
}

static void progress(u32 step, u32 total) { taskhost_progress((int)step, (int)total, __builtin_nan(""), 0); }

__attribute__((export_name("process"))) int process(void) {
  u32 n = (u32)env_input_length();
  u8 *text = &__heap_base;
  u32 need = (u32)text + n, have = (u32)__builtin_wasm_memory_size(0) * PART;
  if (need > have && __builtin_wasm_memory_grow(0, (need - have + PART - 1) / PART) == ~0ul) __builtin_trap();
  taskhost_read(env_input_offset(), text, n);

  u32 total = (n + PART - 1) / PART, done = 0;
  for (u32 i = 0; i < n;) {
    if (i >= done * PART) progress(done++, total);
    u32 length = utf8(text + i, n - i);
    if (length == 0) return invalid(i);
    if (text[i] >= 'a' && text[i] <= 'z') text[i] -= 'a' - 'A';
    i += length;
  }
  progress(total, total);

  u64 out = env_alloc(n);
  taskhost_write(out, text, n);
  env_output_set(out, n);
  return 0;
}
