// What the C guests of this folder share: the host's functions as raw imports, and a few lines of string handling.
// They use no C library. The stack grows down from below the data, so a guest that overruns it traps.
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef int i32;
typedef unsigned u32;
typedef unsigned long long u64;

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(#name))) extern
#define USER(name) __attribute__((import_module("extism:host/user"), import_name(#name))) extern
#define EXPORT(name) __attribute__((export_name(#name)))

ENV(alloc) u64 alloc(u64 length);
ENV(free) void release(u64 offset);
ENV(length) u64 length(u64 offset);
ENV(length_unsafe) u64 length_unsafe(u64 offset);
ENV(load_u8) u32 load_u8(u64 offset);
ENV(load_u64) u64 load_u64(u64 offset);
ENV(store_u8) void store_u8(u64 offset, u32 value);
ENV(store_u64) void store_u64(u64 offset, u64 value);
ENV(input_offset) u64 input_offset(void);
ENV(input_length) u64 input_length(void);
ENV(input_load_u8) u32 input_load_u8(u64 index);
ENV(input_load_u64) u64 input_load_u64(u64 index);
ENV(input_set) void input_set(u64 offset, u64 length);
ENV(output_set) void output_set(u64 offset, u64 length);
ENV(error_set) void error_set(u64 offset);
ENV(config_get) u64 config_get(u64 key);
ENV(var_get) u64 var_get(u64 key);
ENV(var_set) void var_set(u64 key, u64 value);
ENV(http_request) u64 http_request(u64 meta, u64 body);
ENV(http_status_code) i32 http_status_code(void);
ENV(http_headers) u64 http_headers(void);
ENV(log_trace) void log_trace(u64 message);
ENV(log_debug) void log_debug(u64 message);
ENV(log_info) void log_info(u64 message);
ENV(log_warn) void log_warn(u64 message);
ENV(log_error) void log_error(u64 message);
ENV(get_log_level) i32 get_log_level(void);

USER(taskhost_progress) void taskhost_progress(i32 step, i32 total, double fraction, u64 message);
USER(taskhost_cancelled) i32 taskhost_cancelled(void);
USER(taskhost_metric_add) u64 taskhost_metric_add(u64 name, double value, u64 labels);
USER(taskhost_metric_set) u64 taskhost_metric_set(u64 name, double value, u64 labels);
USER(taskhost_metric_observe) u64 taskhost_metric_observe(u64 name, double value, u64 labels);
USER(taskhost_invalid_input) void taskhost_invalid_input(u64 message);
USER(taskhost_checkpoint_save) u64 taskhost_checkpoint_save(u64 state);
USER(taskhost_checkpoint_load) u64 taskhost_checkpoint_load(void);
USER(taskhost_read) void taskhost_read(u64 offset, void *to, u32 length);
USER(taskhost_write) void taskhost_write(u64 offset, const void *from, u32 length);

static u8 scratch[64 << 10]; // the input, cut to fit, and a zero byte

static inline u32 text_length(const char *s) {
  u32 n = 0;
  while (s[n]) n++;
  return n;
}

// input reads the input into scratch and returns its length.
static inline u32 input(void) {
  u64 n = input_length();
  if (n > sizeof scratch - 1) n = sizeof scratch - 1;
  if (n) taskhost_read(input_offset(), scratch, (u32)n);
  scratch[n] = 0;
  return (u32)n;
}

static inline u64 block(const void *p, u32 n) {
  u64 offset = alloc(n);
  if (n) taskhost_write(offset, p, n);
  return offset;
}

static inline u64 text(const char *s) { return block(s, text_length(s)); }

static inline i32 output(const void *p, u32 n) {
  output_set(block(p, n), n);
  return 0;
}

static inline i32 fail(const char *s) {
  error_set(text(s));
  return 1;
}

// number reads a decimal number at *p, skipping blanks before it, and moves *p past it.
static inline u64 number(const char **p) {
  u64 n = 0;
  while (**p == ' ' || **p == '\n') ++*p;
  for (; **p >= '0' && **p <= '9'; ++*p) n = n * 10 + (u64)(**p - '0');
  return n;
}

static inline u64 input_number(void) {
  input();
  const char *p = (const char *)scratch;
  return number(&p);
}

// decimal writes n at the end of a buffer of 21 bytes and returns where it begins.
static inline const char *decimal(u64 n, char *buffer) {
  char *p = buffer + 20;
  *p = 0;
  do *--p = (char)('0' + n % 10);
  while (n /= 10);
  return p;
}

static inline i32 output_number(u64 n) {
  char buffer[21];
  const char *s = decimal(n, buffer);
  return output(s, text_length(s));
}

#endif
