// taskhost.h turns C and C++ functions into plugins for taskhost (https://github.com/taskhost/taskhost). It is the whole SDK: one header,
// with no library to link. It works without a C library, with wasi-libc, and in C++ without exceptions.
//
//   #include "taskhost.h"
//
//   TASKHOST_EXPORT(process) {
//     taskhost_bytes text = taskhost_input();
//     for (size_t i = 0; i < text.length; i++)
//       if (text.data[i] >= 'a' && text.data[i] <= 'z') text.data[i] -= 'a' - 'A';
//     return taskhost_output(text.data, text.length);
//   }
//
//   clang --target=wasm32 -O2 -mbulk-memory -nostdlib -Wl,--no-entry -o shout.wasm shout.c
//   clang --target=wasm32-wasi -O2 -mbulk-memory -mexec-model=reactor -o shout.wasm shout.c     # with wasi-libc
//   clang++ --target=wasm32 -O2 -mbulk-memory -nostdlib -fno-exceptions -fno-rtti -Wl,--no-entry -o shout.wasm shout.cc
//
// Ownership: what a function of this header returns is the plugin's, to read and to change, until the exported function returns; nothing is
// to be freed. Bytes that it returns are followed by a zero byte that their length does not count, so they are C strings as well, if they
// hold no zero themselves. What is passed to a function is only read, and not kept.
//
// Errors: what the host does not grant, or what goes past a limit, ends the call inside the function that asked. Other errors are returned.
//
// A module holds the imports of those functions alone that it uses. It may have several files that include the header.
#ifndef TASKHOST_H
#define TASKHOST_H

#if !defined(__wasm__) || __SIZEOF_POINTER__ != 4
#error "taskhost.h: a plugin is compiled with clang --target=wasm32 or --target=wasm32-wasi"
#endif

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// With a C library, memory comes from malloc; without, from the end of the module's memory. TASKHOST_LIBC chooses the first for targets
// other than WASI.
#if defined(__wasi__) && !defined(TASKHOST_LIBC)
#define TASKHOST_LIBC 1
#endif
#ifdef TASKHOST_LIBC
#include <stdlib.h>
#include <string.h>
#endif

#ifdef __cplusplus
#define TASKHOST__C extern "C"
#else
#define TASKHOST__C extern
#endif
#define TASKHOST__ENV(name) TASKHOST__C __attribute__((import_module("extism:host/env"), import_name(#name)))
#define TASKHOST__USER(name) TASKHOST__C __attribute__((import_module("extism:host/user"), import_name("taskhost_" #name)))
#define TASKHOST__FORMAT(n) __attribute__((format(printf, n, n + 1)))

// --- functions

// TASKHOST_EXPORT(name) begins the definition of an exported function: a step or an action that tasks can call by that name. It takes
// nothing and returns an int: 0 is success, anything else failure, with the message of taskhost_fail or taskhost_invalid. It ends what the
// call before it had of memory.
#define TASKHOST_EXPORT(name)                                              \
  static int taskhost__function_##name(void);                              \
  TASKHOST__C __attribute__((export_name(#name))) int taskhost__export_##name(void); \
  int taskhost__export_##name(void) {                                      \
    taskhost__begin();                                                     \
    return taskhost__function_##name();                                    \
  }                                                                        \
  static int taskhost__function_##name(void)

// taskhost_bytes are some bytes, or text in UTF-8. data is NULL when there are none to be had, where a function says so.
typedef struct {
  char *data;
  size_t length;
} taskhost_bytes;

// taskhost_input returns the input of the call, which is not checked to be UTF-8. It is to be called once: each time makes a copy.
static inline taskhost_bytes taskhost_input(void);

// taskhost_output makes length bytes the output of the call, in place of what was set before. It returns 0, so that a function can end with
// "return taskhost_output(…);".
static inline int taskhost_output(const void *data, size_t length);

// taskhost_output_text makes a C string the output, and returns 0.
static inline int taskhost_output_text(const char *text);

// taskhost_fail makes a message the error of the call, formatted as taskhost_text does, and returns 1: "return taskhost_fail(…);".
// The task may be tried again.
static inline int taskhost_fail(const char *format, ...) TASKHOST__FORMAT(1);

// taskhost_invalid is taskhost_fail for an error of the input: the task is not tried again.
static inline int taskhost_invalid(const char *format, ...) TASKHOST__FORMAT(1);

// TASKHOST_FAIL ends the call at once, wherever it is, for what cannot happen: its message is "panic: ", the text, and the file and line.
#define TASKHOST_FAIL(...) taskhost__panic(__FILE__, __LINE__, taskhost_text(__VA_ARGS__))

// TASKHOST_CHECK is TASKHOST_FAIL unless a condition holds.
#define TASKHOST_CHECK(condition) \
  do                              \
    if (!(condition)) taskhost__panic(__FILE__, __LINE__, "check failed: " #condition); \
  while (0)

// --- while it runs

// taskhost_progress reports that step of total steps are done, with a message for whoever watches, or NULL. A total of 0 means that it is
// not known; what is out of range is clamped. It is cheap, so a loop may call it each time round.
static inline void taskhost_progress(int64_t step, int64_t total, const char *message);

// taskhost_progress_fraction reports progress as a number from 0 to 1.
static inline void taskhost_progress_fraction(double fraction, const char *message);

// taskhost_cancelled tells whether the task is to stop. A function that sees true can tidy up, in the time that the manifest's
// cancel_grace_ms gives, and return taskhost_fail("cancelled"); one that never asks is stopped all the same.
static inline int taskhost_cancelled(void);

// taskhost_config returns the value of a configuration key, from the call, else from the plugin's manifest. NULL: there is none, or it is
// empty.
static inline const char *taskhost_config(const char *key);

// The levels of messages.
enum taskhost_level {
  TASKHOST_TRACE,
  TASKHOST_DEBUG,
  TASKHOST_INFO,
  TASKHOST_WARN,
  TASKHOST_ERROR,
};

// taskhost_log writes a message to the host's log, formatted as taskhost_text does. Below the host's level it does nothing, formatting
// included. The host bounds the bytes that one call can log: past that the call ends.
static inline void taskhost_log(enum taskhost_level level, const char *format, ...) TASKHOST__FORMAT(2);

// taskhost_logs tells whether the host takes messages of a level.
static inline int taskhost_logs(enum taskhost_level level);

// TASKHOST_PAIRS("name", "value", "name", "value") are the labels of a metric, or the headers of a request; NULL is none of them.
// They live until the end of the statement in C++: a request that is a variable takes an array of such strings that ends with NULL.
// Each set of labels is kept for as long as the plugin is loaded, so values are words from a short list, never ids or input.
#define TASKHOST_PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

// taskhost_metric_add adds to a counter, which shows as taskhost_plugin_NAME with the label plugin. The name begins with a lower-case letter
// and has only those, digits and underscores; the value is not negative; labels are TASKHOST_PAIRS or NULL.
// It returns NULL, or why the host did not take it: a bad name, too many names or sets of labels.
static inline const char *taskhost_metric_add(const char *name, double value, const char *const *labels);

// taskhost_metric_set sets a gauge; otherwise it is as taskhost_metric_add, and the value may be negative.
static inline const char *taskhost_metric_set(const char *name, double value, const char *const *labels);

// taskhost_metric_observe puts a value into a histogram; otherwise it is as taskhost_metric_add, and the value may be negative.
static inline const char *taskhost_metric_observe(const char *name, double value, const char *const *labels);

// taskhost_var returns a var: a value that a call before this one left with taskhost_set_var. Vars last as long as the sandbox, which by
// default is one call; the manifest's isolation "reuse" makes them last, and a call of an agent with memory brings its own. Its data is NULL
// when there is none; an empty value counts as none.
static inline taskhost_bytes taskhost_var(const char *key);

// taskhost_set_var sets a var; a length of 0 removes it. The host bounds the bytes of all vars together: past that the call ends.
static inline void taskhost_set_var(const char *key, const void *data, size_t length);

// taskhost_save_checkpoint keeps a state for a later attempt of the task, which goes on from there; a length of 0 forgets it. It returns when
// the state is stored, which may take some milliseconds. It returns NULL, or why it was not kept: it is larger than 64 KiB, the host's store
// failed, or the call is no attempt of a task. Mostly it is right to go on without.
static inline const char *taskhost_save_checkpoint(const void *data, size_t length);

// taskhost_load_checkpoint returns the state that was saved last, by this attempt of the task or an earlier one. Its data is NULL when there
// is none.
static inline taskhost_bytes taskhost_load_checkpoint(void);

// taskhost_request is an HTTP request. What is zero takes its default.
typedef struct {
  const char *method;         // default GET
  const char *url;            // http or https, to a host that the manifest allows
  const char *const *headers; // TASKHOST_PAIRS or NULL
  const void *body;
  size_t body_length;
} taskhost_request;

// taskhost_response is the answer to a taskhost_request.
typedef struct {
  int status;
  taskhost_bytes headers; // a JSON object: names in lower case, values of the same name joined with commas
  taskhost_bytes body;
} taskhost_response;

// taskhost_http makes a request through the host. An answer with any status is an answer. What is not one ends the call: a host that the
// manifest does not allow, no connection, a body past the manifest's bound.
static inline taskhost_response taskhost_http(const taskhost_request *request);

// taskhost_header returns a header of an answer by its name in lower case; NULL: there is none.
static inline const char *taskhost_header(const taskhost_response *response, const char *name);

// --- actions: a JSON object in, a JSON object out

// taskhost_kind is what an argument has to be, and what it is written to.
enum taskhost_kind {
  TASKHOST_STRING,  // taskhost_bytes: the text, with a zero byte after it
  TASKHOST_INTEGER, // int64_t
  TASKHOST_NUMBER,  // double
  TASKHOST_BOOL,    // int: 0 or 1
  TASKHOST_JSON,    // taskhost_bytes: any value, as it is written, without a zero byte after it
  TASKHOST_REQUIRED = 16, // added to one of the others: it must be there
};

// taskhost_arg is an argument of an action.
typedef struct {
  const char *name;
  int kind;    // an enum taskhost_kind
  void *value; // where it goes; left as it is when the argument is not there, or null
} taskhost_arg;

// taskhost_args reads the arguments of the call, a JSON object; no input counts as one without arguments. It returns 0, or 1 when the input is
// not an object, or has an argument of the wrong kind or one that is not in the list, or lacks a required one: that is the error of the call
// then, invalid input, and the function returns.
//
//   struct { taskhost_bytes name; int64_t times; } a = {{0}, 1};
//   const taskhost_arg args[] = {{"name", TASKHOST_STRING + TASKHOST_REQUIRED, &a.name}, {"times", TASKHOST_INTEGER, &a.times}};
//   if (taskhost_args(args, 2)) return 1;
static inline int taskhost_args(const taskhost_arg *args, size_t count);

// taskhost_buffer is text that grows. Zero is an empty one; data is NULL as long as nothing was put into it, and ends with a zero byte
// otherwise, which the length does not count.
typedef struct {
  char *data;
  size_t length, capacity;
} taskhost_buffer;

// taskhost_put appends bytes to a buffer.
static inline void taskhost_put(taskhost_buffer *buffer, const void *data, size_t length);

// taskhost_putf appends formatted text to a buffer. Formats are those of printf, without flags and widths: %s, %.*s, %c, %d, %i, %u, %x (with
// h, l, ll, z), %g and %f (both the shortest form), %p, %%.
static inline void taskhost_putf(taskhost_buffer *buffer, const char *format, ...) TASKHOST__FORMAT(2);

// taskhost_text returns formatted text, see taskhost_putf.
static inline const char *taskhost_text(const char *format, ...) TASKHOST__FORMAT(1);

// The functions taskhost_json_… append to a buffer that holds JSON; commas come by themselves. A key is followed by its value.
//
//   taskhost_buffer b = {0};
//   taskhost_json_open(&b, '{');
//   taskhost_json_key(&b, "text");
//   taskhost_json_string(&b, text.data, text.length);
//   taskhost_json_close(&b, '}');
//   return taskhost_output(b.data, b.length);
static inline void taskhost_json_open(taskhost_buffer *buffer, char bracket);  // '{' or '['
static inline void taskhost_json_close(taskhost_buffer *buffer, char bracket); // '}' or ']'
static inline void taskhost_json_key(taskhost_buffer *buffer, const char *key);
static inline void taskhost_json_string(taskhost_buffer *buffer, const char *data, size_t length);
static inline void taskhost_json_integer(taskhost_buffer *buffer, int64_t value);
static inline void taskhost_json_number(taskhost_buffer *buffer, double value); // null when it is not finite
static inline void taskhost_json_bool(taskhost_buffer *buffer, int value);
static inline void taskhost_json_raw(taskhost_buffer *buffer, const char *data, size_t length); // JSON as it is

// taskhost_alloc returns memory that is zero, aligned for any type, and the plugin's until the exported function returns.
static inline void *taskhost_alloc(size_t size);

// ------------------------------------------------------------------------------------------------------------------------------------------
// What follows is not for plugins to use.

TASKHOST__ENV(alloc) uint64_t taskhost__env_alloc(uint64_t length);
TASKHOST__ENV(free) void taskhost__env_free(uint64_t offset);
TASKHOST__ENV(length) uint64_t taskhost__env_length(uint64_t offset);
TASKHOST__ENV(input_offset) uint64_t taskhost__env_input_offset(void);
TASKHOST__ENV(input_length) uint64_t taskhost__env_input_length(void);
TASKHOST__ENV(output_set) void taskhost__env_output_set(uint64_t offset, uint64_t length);
TASKHOST__ENV(error_set) void taskhost__env_error_set(uint64_t offset);
TASKHOST__ENV(config_get) uint64_t taskhost__env_config_get(uint64_t key);
TASKHOST__ENV(var_get) uint64_t taskhost__env_var_get(uint64_t key);
TASKHOST__ENV(var_set) void taskhost__env_var_set(uint64_t key, uint64_t value);
TASKHOST__ENV(http_request) uint64_t taskhost__env_http_request(uint64_t meta, uint64_t body);
TASKHOST__ENV(http_status_code) int taskhost__env_http_status_code(void);
TASKHOST__ENV(http_headers) uint64_t taskhost__env_http_headers(void);
TASKHOST__ENV(log_trace) void taskhost__env_log_trace(uint64_t message);
TASKHOST__ENV(log_debug) void taskhost__env_log_debug(uint64_t message);
TASKHOST__ENV(log_info) void taskhost__env_log_info(uint64_t message);
TASKHOST__ENV(log_warn) void taskhost__env_log_warn(uint64_t message);
TASKHOST__ENV(log_error) void taskhost__env_log_error(uint64_t message);
TASKHOST__ENV(get_log_level) int taskhost__env_get_log_level(void);
TASKHOST__USER(progress) void taskhost__user_progress(int step, int total, double fraction, uint64_t message);
TASKHOST__USER(cancelled) int taskhost__user_cancelled(void);
TASKHOST__USER(metric_add) uint64_t taskhost__user_metric_add(uint64_t name, double value, uint64_t labels);
TASKHOST__USER(metric_set) uint64_t taskhost__user_metric_set(uint64_t name, double value, uint64_t labels);
TASKHOST__USER(metric_observe) uint64_t taskhost__user_metric_observe(uint64_t name, double value, uint64_t labels);
TASKHOST__USER(invalid_input) void taskhost__user_invalid_input(uint64_t message);
TASKHOST__USER(checkpoint_save) uint64_t taskhost__user_checkpoint_save(uint64_t state);
TASKHOST__USER(checkpoint_load) uint64_t taskhost__user_checkpoint_load(void);
TASKHOST__USER(read) void taskhost__user_read(uint64_t offset, void *to, uint32_t length);
TASKHOST__USER(write) void taskhost__user_write(uint64_t offset, const void *from, uint32_t length);

// --- memory

__attribute__((noreturn)) static inline void taskhost__panic(const char *file, int line, const char *message);

#ifdef TASKHOST_LIBC

// The blocks of the call, each with the one before it in front: 16 bytes, for the alignment.
__attribute__((weak)) void **taskhost__blocks;

static inline void taskhost__begin(void) {
  while (taskhost__blocks) {
    void **block = taskhost__blocks;
    taskhost__blocks = (void **)*block;
    free(block);
  }
}

static inline void *taskhost_alloc(size_t size) {
  void **block = size > SIZE_MAX - 16 ? NULL : (void **)calloc(1, size + 16);
  if (!block) taskhost__panic(__FILE__, __LINE__, "out of memory");
  *block = (void *)taskhost__blocks;
  taskhost__blocks = block;
  return (char *)block + 16;
}

#else

// What the compiler may call. A module that has its own goes first.
TASKHOST__C __attribute__((weak, no_builtin)) void *memcpy(void *to, const void *from, size_t n) {
  for (size_t i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

TASKHOST__C __attribute__((weak, no_builtin)) void *memmove(void *to, const void *from, size_t n) {
  if ((uintptr_t)to < (uintptr_t)from) return memcpy(to, from, n);
  while (n--) ((char *)to)[n] = ((const char *)from)[n];
  return to;
}

TASKHOST__C __attribute__((weak, no_builtin)) void *memset(void *to, int value, size_t n) {
  for (size_t i = 0; i < n; i++) ((char *)to)[i] = (char)value;
  return to;
}

TASKHOST__C __attribute__((weak, no_builtin)) int memcmp(const void *a, const void *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((const unsigned char *)a)[i] != ((const unsigned char *)b)[i]) return ((const unsigned char *)a)[i] - ((const unsigned char *)b)[i];
  return 0;
}

TASKHOST__C char __heap_base;
__attribute__((weak)) uintptr_t taskhost__heap; // where free memory begins; 0: nowhere yet

static inline void taskhost__begin(void) { taskhost__heap = 0; }

static inline void *taskhost_alloc(size_t size) {
  uintptr_t at = ((taskhost__heap ? taskhost__heap : (uintptr_t)&__heap_base) + 15) & ~(uintptr_t)15;
  uint64_t end = (uint64_t)at + size;
  uint64_t pages = (end + 65535) / 65536, have = __builtin_wasm_memory_size(0);
  if (pages > have && (pages > 65536 || __builtin_wasm_memory_grow(0, (size_t)(pages - have)) == (size_t)-1))
    taskhost__panic(__FILE__, __LINE__, "out of memory");
  taskhost__heap = (uintptr_t)end;
  return memset((void *)at, 0, size);
}

#ifdef __cplusplus
// Without this, each call of an exported function would run the constructors anew.
extern "C" void __wasm_call_ctors(void);
extern "C" __attribute__((weak, export_name("_initialize"))) void taskhost__initialize(void) { __wasm_call_ctors(); }
#endif

#endif

static inline size_t taskhost__length(const char *s) {
  size_t n = 0;
  if (s)
    while (s[n]) n++;
  return n;
}

static inline uint64_t taskhost__block(const void *data, size_t length) {
  if (length == 0) return 0;
  uint64_t offset = taskhost__env_alloc(length);
  taskhost__user_write(offset, data, (uint32_t)length);
  return offset;
}

static inline uint64_t taskhost__string(const char *s) { return taskhost__block(s, taskhost__length(s)); }

static inline taskhost_bytes taskhost__load(uint64_t offset, uint64_t length) {
  taskhost_bytes b = {(char *)taskhost_alloc((size_t)length + 1), (size_t)length};
  if (length) taskhost__user_read(offset, b.data, (uint32_t)length);
  return b;
}

// Loads a block and frees it.
static inline taskhost_bytes taskhost__take(uint64_t offset) {
  taskhost_bytes none = {NULL, 0};
  if (offset == 0) return none;
  taskhost_bytes b = taskhost__load(offset, taskhost__env_length(offset));
  taskhost__env_free(offset);
  return b;
}

// --- text

static inline void taskhost__reserve(taskhost_buffer *b, size_t more) {
  if (more < b->capacity - b->length) return;
  if (more > SIZE_MAX / 2 - 64 - b->length) taskhost__panic(__FILE__, __LINE__, "out of memory");
  size_t capacity = b->length + more + 64;
  if (capacity < 2 * b->capacity) capacity = 2 * b->capacity;
  char *data = (char *)taskhost_alloc(capacity);
  if (b->length) memcpy(data, b->data, b->length);
  b->data = data;
  b->capacity = capacity;
}

static inline void taskhost_put(taskhost_buffer *buffer, const void *data, size_t length) {
  taskhost__reserve(buffer, length);
  if (length) memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  buffer->data[buffer->length] = 0;
}

static inline void taskhost__put_string(taskhost_buffer *b, const char *s) { taskhost_put(b, s, taskhost__length(s)); }

static inline void taskhost__put_unsigned(taskhost_buffer *b, uint64_t value, unsigned base) {
  char digits[20], *p = digits + sizeof digits;
  do *--p = "0123456789abcdef"[value % base];
  while (value /= base);
  taskhost_put(b, p, (size_t)(digits + sizeof digits - p));
}

static inline void taskhost__put_integer(taskhost_buffer *b, int64_t value) {
  if (value < 0) taskhost_put(b, "-", 1);
  taskhost__put_unsigned(b, value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
}

static inline double taskhost__scale(double x, int exponent) { // x times a power of ten
  static const double powers[] = {1e1, 1e2, 1e4, 1e8, 1e16, 1e32, 1e64, 1e128, 1e256};
  unsigned n = (unsigned)(exponent < 0 ? -exponent : exponent);
  if (n > 350) n = 350;
  if (n > 300) { // in two steps, so that what fits does not go over the edge on the way
    x = exponent < 0 ? x / 1e50 : x * 1e50;
    n -= 50;
  }
  double power = 1;
  for (int i = 0; n; i++, n >>= 1)
    if (n & 1) power *= powers[i];
  return exponent < 0 ? x / power : x * power;
}

// Reads digits, a point and an exponent, which were checked before. Exact up to 15 digits and a power of ten up to 22.
static inline double taskhost__parse_number(const char *p, const char *end) {
  int negative = p < end && *p == '-', exponent = 0, point = 0, sign = 1, e = 0;
  uint64_t digits = 0;
  for (p += negative; p < end && *p != 'e' && *p != 'E'; p++) {
    if (*p == '.') {
      point = 1;
    } else if (digits < 100000000000000000u) {
      digits = digits * 10 + (uint64_t)(*p - '0');
      exponent -= point;
    } else {
      exponent += !point;
    }
  }
  if (p < end) {
    if (*++p == '-') sign = -1;
    if (*p == '-' || *p == '+') p++;
    for (; p < end; p++)
      if (e < 10000) e = e * 10 + (*p - '0');
  }
  double x = digits ? taskhost__scale((double)digits, exponent + sign * e) : 0;
  return negative ? -x : x;
}

static inline void taskhost__put_number(taskhost_buffer *b, double value) {
  if (value != value || value - value != 0) {
    taskhost__put_string(b, value != value ? "nan" : value < 0 ? "-inf" : "inf");
    return;
  }
  if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
    taskhost__put_integer(b, (int64_t)value);
    return;
  }
  double x = value < 0 ? -value : value;
  int exponent = 0; // of the first digit
  for (int step = 256; step; step /= 2) {
    if (x >= taskhost__scale(1, exponent + step) && exponent + step <= 308) exponent += step;
    if (x < taskhost__scale(1, exponent) && x < taskhost__scale(1, exponent - step + 1)) exponent -= step;
  }
  char text[32];
  size_t n = 0;
  for (int precision = 15; precision <= 17; precision++) {
    uint64_t digits = (uint64_t)(taskhost__scale(x, precision - 1 - exponent) + 0.5), limit = 1;
    for (int i = 0; i < precision; i++) limit *= 10;
    int shift = exponent;
    if (digits >= limit) digits /= 10, shift++;
    int count = precision;
    while (count > 1 && digits % 10 == 0) digits /= 10, count--;
    char digit[20];
    for (int i = count; i--; digits /= 10) digit[i] = (char)('0' + digits % 10);
    n = 0;
    if (value < 0) text[n++] = '-';
    int small = shift < 0 && shift >= -5; // 0.000123
    if (small) {
      text[n++] = '0', text[n++] = '.';
      for (int i = -1; i > shift; i--) text[n++] = '0';
    }
    int point = small ? -1 : shift >= 0 && shift < count ? shift : 0; // after which digit
    for (int i = 0; i < count; i++) {
      text[n++] = digit[i];
      if (i == point && i + 1 < count) text[n++] = '.';
    }
    if (!small && point != shift) {
      text[n++] = 'e';
      if (shift < 0) text[n++] = '-';
      unsigned e = (unsigned)(shift < 0 ? -shift : shift);
      if (e >= 100) text[n++] = (char)('0' + e / 100);
      if (e >= 10) text[n++] = (char)('0' + e / 10 % 10);
      text[n++] = (char)('0' + e % 10);
    }
    if (taskhost__parse_number(text, text + n) == value) break;
  }
  taskhost_put(b, text, n);
}

static inline void taskhost__put_format(taskhost_buffer *b, const char *format, va_list args) {
  for (const char *p = format; *p; p++) {
    const char *plain = p;
    while (*p && *p != '%') p++;
    taskhost_put(b, plain, (size_t)(p - plain));
    if (!*p || !*++p) return;
    size_t precision = SIZE_MAX;
    if (p[0] == '.' && p[1] == '*') {
      precision = (size_t)va_arg(args, int);
      p += 2;
    }
    int wide = 0; // 8 bytes: "ll" alone, for long and size_t have 4
    for (; *p == 'h' || *p == 'l' || *p == 'z'; p++) wide += *p == 'l';
    switch (*p) {
    case 's': {
      const char *s = va_arg(args, const char *);
      size_t n = 0;
      while (s && n < precision && (precision != SIZE_MAX || s[n])) {
        if (precision != SIZE_MAX && !s[n]) break;
        n++;
      }
      taskhost_put(b, s, n);
      break;
    }
    case 'c': {
      char c = (char)va_arg(args, int);
      taskhost_put(b, &c, 1);
      break;
    }
    case 'd':
    case 'i': taskhost__put_integer(b, wide > 1 ? va_arg(args, long long) : va_arg(args, int)); break;
    case 'u':
    case 'x':
    case 'p': taskhost__put_unsigned(b, wide > 1 ? va_arg(args, unsigned long long) : va_arg(args, unsigned), *p == 'u' ? 10 : 16); break;
    case 'f':
    case 'g': taskhost__put_number(b, va_arg(args, double)); break;
    case '%': taskhost_put(b, "%", 1); break;
    default: taskhost__panic(__FILE__, __LINE__, "taskhost_text: a format that it does not know");
    }
  }
}

static inline void taskhost_putf(taskhost_buffer *buffer, const char *format, ...) {
  va_list args;
  va_start(args, format);
  taskhost__put_format(buffer, format, args);
  va_end(args);
}

static inline const char *taskhost_text(const char *format, ...) {
  taskhost_buffer b = {NULL, 0, 0};
  va_list args;
  va_start(args, format);
  taskhost__put_format(&b, format, args);
  va_end(args);
  return b.data ? b.data : "";
}

// --- the call

static inline taskhost_bytes taskhost_input(void) { return taskhost__load(taskhost__env_input_offset(), taskhost__env_input_length()); }

static inline int taskhost_output(const void *data, size_t length) {
  taskhost__env_output_set(taskhost__block(data, length), length);
  return 0;
}

static inline int taskhost_output_text(const char *text) { return taskhost_output(text, taskhost__length(text)); }

static inline int taskhost_fail(const char *format, ...) {
  taskhost_buffer b = {NULL, 0, 0};
  va_list args;
  va_start(args, format);
  taskhost__put_format(&b, format, args);
  va_end(args);
  taskhost__env_error_set(taskhost__block(b.data, b.length));
  return 1;
}

static inline int taskhost_invalid(const char *format, ...) {
  taskhost_buffer b = {NULL, 0, 0};
  va_list args;
  va_start(args, format);
  taskhost__put_format(&b, format, args);
  va_end(args);
  taskhost__user_invalid_input(taskhost__block(b.data, b.length));
  return 1;
}

static inline void taskhost__panic(const char *file, int line, const char *message) {
  // In memory of its own, for there may be no more.
  static char text[1024];
  char number[12];
  size_t n = 0, digits = sizeof number;
  do number[--digits] = (char)('0' + line % 10);
  while (line /= 10);
  const char *parts[] = {"panic: ", message, " (", file, ":"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (const char *p = parts[i]; *p && n < sizeof text - 16; p++) text[n++] = *p;
  while (digits < sizeof number) text[n++] = number[digits++];
  text[n++] = ')';
  taskhost__env_error_set(taskhost__block(text, n));
  __builtin_trap();
}

static inline int taskhost__clamp(int64_t n) { return n < 0 ? 0 : n > INT32_MAX ? INT32_MAX : (int)n; }

static inline void taskhost_progress(int64_t step, int64_t total, const char *message) {
  uint64_t m = taskhost__string(message);
  taskhost__user_progress(taskhost__clamp(step), taskhost__clamp(total), __builtin_nan(""), m);
  if (m) taskhost__env_free(m);
}

static inline void taskhost_progress_fraction(double fraction, const char *message) {
  uint64_t m = taskhost__string(message);
  taskhost__user_progress(0, 0, fraction, m);
  if (m) taskhost__env_free(m);
}

static inline int taskhost_cancelled(void) { return taskhost__user_cancelled(); }

static inline const char *taskhost_config(const char *key) {
  uint64_t k = taskhost__string(key);
  const char *value = taskhost__take(taskhost__env_config_get(k)).data;
  taskhost__env_free(k);
  return value;
}

static inline int taskhost_logs(enum taskhost_level level) { return (int)level >= taskhost__env_get_log_level(); }

static inline void taskhost_log(enum taskhost_level level, const char *format, ...) {
  if (!taskhost_logs(level)) return;
  taskhost_buffer b = {NULL, 0, 0};
  va_list args;
  va_start(args, format);
  taskhost__put_format(&b, format, args);
  va_end(args);
  uint64_t m = taskhost__block(b.data, b.length);
  switch (level) {
  case TASKHOST_TRACE: taskhost__env_log_trace(m); break;
  case TASKHOST_DEBUG: taskhost__env_log_debug(m); break;
  case TASKHOST_INFO: taskhost__env_log_info(m); break;
  case TASKHOST_WARN: taskhost__env_log_warn(m); break;
  default: taskhost__env_log_error(m);
  }
  if (m) taskhost__env_free(m);
}

// A JSON object of names and values.
static inline void taskhost__put_pairs(taskhost_buffer *b, const char *const *pairs) {
  taskhost_json_open(b, '{');
  for (; pairs && pairs[0] && pairs[1]; pairs += 2) {
    taskhost_json_key(b, pairs[0]);
    taskhost_json_string(b, pairs[1], taskhost__length(pairs[1]));
  }
  taskhost_json_close(b, '}');
}

typedef uint64_t (*taskhost__metric_function)(uint64_t, double, uint64_t);

static inline const char *taskhost__metric(taskhost__metric_function f, const char *name, double value, const char *const *labels) {
  taskhost_buffer text = {NULL, 0, 0};
  if (labels && labels[0]) taskhost__put_pairs(&text, labels);
  uint64_t n = taskhost__string(name), l = taskhost__block(text.data, text.length);
  uint64_t message = f(n, value, l);
  if (n) taskhost__env_free(n);
  if (l) taskhost__env_free(l);
  return taskhost__take(message).data;
}

static inline const char *taskhost_metric_add(const char *name, double value, const char *const *labels) {
  return taskhost__metric(taskhost__user_metric_add, name, value, labels);
}

static inline const char *taskhost_metric_set(const char *name, double value, const char *const *labels) {
  return taskhost__metric(taskhost__user_metric_set, name, value, labels);
}

static inline const char *taskhost_metric_observe(const char *name, double value, const char *const *labels) {
  return taskhost__metric(taskhost__user_metric_observe, name, value, labels);
}

static inline taskhost_bytes taskhost_var(const char *key) {
  return taskhost__take(taskhost__env_var_get(taskhost__string(key))); // which frees the key
}

static inline void taskhost_set_var(const char *key, const void *data, size_t length) {
  uint64_t k = taskhost__string(key);
  taskhost__env_var_set(k, taskhost__block(data, length)); // frees both
}

static inline const char *taskhost_save_checkpoint(const void *data, size_t length) {
  uint64_t state = taskhost__block(data, length);
  uint64_t message = taskhost__user_checkpoint_save(state);
  if (state) taskhost__env_free(state);
  return taskhost__take(message).data;
}

static inline taskhost_bytes taskhost_load_checkpoint(void) { return taskhost__take(taskhost__user_checkpoint_load()); }

static inline taskhost_response taskhost_http(const taskhost_request *request) {
  taskhost_buffer meta = {NULL, 0, 0};
  taskhost_json_open(&meta, '{');
  if (request->method) {
    taskhost_json_key(&meta, "method");
    taskhost_json_string(&meta, request->method, taskhost__length(request->method));
  }
  taskhost_json_key(&meta, "url");
  taskhost_json_string(&meta, request->url, taskhost__length(request->url));
  if (request->headers) {
    taskhost_json_key(&meta, "headers");
    taskhost__put_pairs(&meta, request->headers);
  }
  taskhost_json_close(&meta, '}');
  uint64_t m = taskhost__block(meta.data, meta.length);
  taskhost_response response;
  response.body = taskhost__take(taskhost__env_http_request(m, taskhost__block(request->body, request->body_length))); // frees both
  if (!response.body.data) response.body.data = (char *)taskhost_alloc(1);
  response.status = taskhost__env_http_status_code();
  response.headers = taskhost__take(taskhost__env_http_headers());
  return response;
}

// --- JSON

static inline void taskhost__json_next(taskhost_buffer *b) {
  char last = b->length ? b->data[b->length - 1] : '[';
  if (last != '{' && last != '[' && last != ':') taskhost_put(b, ",", 1);
}

static inline void taskhost_json_open(taskhost_buffer *buffer, char bracket) {
  taskhost__json_next(buffer);
  taskhost_put(buffer, &bracket, 1);
}

static inline void taskhost_json_close(taskhost_buffer *buffer, char bracket) { taskhost_put(buffer, &bracket, 1); }

static inline void taskhost_json_raw(taskhost_buffer *buffer, const char *data, size_t length) {
  taskhost__json_next(buffer);
  taskhost_put(buffer, data, length);
}

static inline void taskhost_json_string(taskhost_buffer *buffer, const char *data, size_t length) {
  taskhost__json_next(buffer);
  taskhost__reserve(buffer, length + 2);
  taskhost_put(buffer, "\"", 1);
  size_t done = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)data[i];
    if (c >= ' ' && c != '"' && c != '\\') continue;
    taskhost_put(buffer, data + done, i - done);
    done = i + 1;
    char escape[6] = {'\\', (char)c, '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
    size_t n = 2;
    switch (c) {
    case '"':
    case '\\': break;
    case '\n': escape[1] = 'n'; break;
    case '\r': escape[1] = 'r'; break;
    case '\t': escape[1] = 't'; break;
    default: escape[1] = 'u', n = 6;
    }
    taskhost_put(buffer, escape, n);
  }
  taskhost_put(buffer, data + done, length - done);
  taskhost_put(buffer, "\"", 1);
}

static inline void taskhost_json_key(taskhost_buffer *buffer, const char *key) {
  taskhost_json_string(buffer, key, taskhost__length(key));
  taskhost_put(buffer, ":", 1);
}

static inline void taskhost_json_integer(taskhost_buffer *buffer, int64_t value) {
  taskhost__json_next(buffer);
  taskhost__put_integer(buffer, value);
}

static inline void taskhost_json_number(taskhost_buffer *buffer, double value) {
  taskhost__json_next(buffer);
  if (value - value != 0)
    taskhost__put_string(buffer, "null");
  else
    taskhost__put_number(buffer, value);
}

static inline void taskhost_json_bool(taskhost_buffer *buffer, int value) {
  taskhost__json_next(buffer);
  taskhost__put_string(buffer, value ? "true" : "false");
}

// A place in JSON text; strings are decoded where they stand.
typedef struct {
  char *at, *end;
  int depth;
} taskhost__json;

enum taskhost__type { TASKHOST__BAD, TASKHOST__NULL, TASKHOST__BOOL, TASKHOST__NUMBER, TASKHOST__STRING, TASKHOST__ARRAY, TASKHOST__OBJECT };

static inline char taskhost__peek(taskhost__json *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
  return j->at < j->end ? *j->at : 0;
}

static inline int taskhost__accept(taskhost__json *j, char c) {
  if (taskhost__peek(j) != c || j->at == j->end) return 0;
  j->at++;
  return 1;
}

static inline int taskhost__hex(const char *p, const char *end) {
  int v = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (d < 0) return -1;
    v = v * 16 + d;
  }
  return v;
}

static inline char *taskhost__put_rune(char *p, uint32_t r) {
  if (r < 0x80) {
    *p++ = (char)r;
  } else if (r < 0x800) {
    *p++ = (char)(0xc0 | r >> 6), *p++ = (char)(0x80 | (r & 63));
  } else if (r < 0x10000) {
    *p++ = (char)(0xe0 | r >> 12), *p++ = (char)(0x80 | (r >> 6 & 63)), *p++ = (char)(0x80 | (r & 63));
  } else {
    *p++ = (char)(0xf0 | r >> 18), *p++ = (char)(0x80 | (r >> 12 & 63)), *p++ = (char)(0x80 | (r >> 6 & 63)), *p++ = (char)(0x80 | (r & 63));
  }
  return p;
}

// Reads a string behind its quote. With out it is decoded in its place, which destroys the text; else it is only passed over.
static inline int taskhost__json_text(taskhost__json *j, taskhost_bytes *out) {
  char *to = j->at, *begin = to;
  while (j->at < j->end) {
    char c = *j->at++;
    if (c == '"') {
      if (out) {
        *to = 0;
        out->data = begin;
        out->length = (size_t)(to - begin);
      }
      return 1;
    }
    if ((unsigned char)c < ' ') return 0;
    uint32_t rune;
    if (c != '\\') {
      if (out) *to++ = c;
      continue;
    }
    if (j->at == j->end) return 0;
    switch (c = *j->at++) {
    case '"':
    case '\\':
    case '/': rune = (uint32_t)c; break;
    case 'b': rune = '\b'; break;
    case 'f': rune = '\f'; break;
    case 'n': rune = '\n'; break;
    case 'r': rune = '\r'; break;
    case 't': rune = '\t'; break;
    case 'u': {
      int h = taskhost__hex(j->at, j->end);
      if (h < 0) return 0;
      j->at += 4;
      rune = (uint32_t)h;
      if (rune >= 0xd800 && rune < 0xe000) { // half of a pair
        int low = rune < 0xdc00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u' ? taskhost__hex(j->at + 2, j->end) : -1;
        if (low >= 0xdc00 && low < 0xe000) {
          rune = 0x10000 + ((rune - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
          j->at += 6;
        } else {
          rune = 0xfffd;
        }
      }
      break;
    }
    default: return 0;
    }
    if (out) to = taskhost__put_rune(to, rune);
  }
  return 0;
}

static inline int taskhost__json_digits(taskhost__json *j) {
  char *from = j->at;
  while (j->at < j->end && *j->at >= '0' && *j->at <= '9') j->at++;
  return j->at > from;
}

// Passes over a value and tells what it is.
static inline enum taskhost__type taskhost__json_skip(taskhost__json *j) {
  static const struct { const char *text; enum taskhost__type type; } words[] = {{"null", TASKHOST__NULL}, {"true", TASKHOST__BOOL}, {"false", TASKHOST__BOOL}};
  char c = taskhost__peek(j);
  if (c == '"') {
    j->at++;
    return taskhost__json_text(j, NULL) ? TASKHOST__STRING : TASKHOST__BAD;
  }
  if (c == '{' || c == '[') {
    char close = c == '{' ? '}' : ']';
    enum taskhost__type type = c == '{' ? TASKHOST__OBJECT : TASKHOST__ARRAY;
    j->at++;
    if (taskhost__accept(j, close)) return type;
    if (++j->depth > 200) return TASKHOST__BAD;
    do {
      if (c == '{' && !(taskhost__accept(j, '"') && taskhost__json_text(j, NULL) && taskhost__accept(j, ':'))) return TASKHOST__BAD;
      if (!taskhost__json_skip(j)) return TASKHOST__BAD;
    } while (taskhost__accept(j, ','));
    j->depth--;
    return taskhost__accept(j, close) ? type : TASKHOST__BAD;
  }
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t n = taskhost__length(words[i].text);
    if (c == words[i].text[0] && (size_t)(j->end - j->at) >= n && memcmp(j->at, words[i].text, n) == 0) {
      j->at += n;
      return words[i].type;
    }
  }
  if (c == '-') j->at++;
  char *first = j->at;
  if (!taskhost__json_digits(j) || (*first == '0' && j->at - first > 1)) return TASKHOST__BAD;
  if (j->at < j->end && *j->at == '.') {
    j->at++;
    if (!taskhost__json_digits(j)) return TASKHOST__BAD;
  }
  if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
    j->at++;
    if (j->at < j->end && (*j->at == '+' || *j->at == '-')) j->at++;
    if (!taskhost__json_digits(j)) return TASKHOST__BAD;
  }
  return TASKHOST__NUMBER;
}

static inline int taskhost__parse_integer(const char *p, const char *end, int64_t *out) {
  int negative = *p == '-';
  uint64_t v = 0, limit = (uint64_t)INT64_MAX + (uint64_t)negative;
  for (p += negative; p < end; p++) {
    if (*p < '0' || *p > '9') return 0;
    uint64_t d = (uint64_t)(*p - '0');
    if (v > (limit - d) / 10) return 0;
    v = v * 10 + d;
  }
  *out = negative ? (int64_t)(0 - v) : (int64_t)v;
  return 1;
}

// Reads a value for an argument; NULL, or why not.
static inline const char *taskhost__json_arg(taskhost__json *j, const taskhost_arg *arg, int *seen) {
  static const char *const found[] = {"", "null", "bool", "number", "string", "array", "object"};
  static const char *const wanted[] = {"string", "integer", "number", "bool", "value"};
  static const enum taskhost__type types[] = {TASKHOST__STRING, TASKHOST__NUMBER, TASKHOST__NUMBER, TASKHOST__BOOL};
  taskhost__peek(j);
  char *from = j->at;
  enum taskhost__type type = taskhost__json_skip(j);
  int kind = arg->kind & ~TASKHOST_REQUIRED;
  if (type == TASKHOST__BAD) return "the arguments are not a JSON object";
  if (type == TASKHOST__NULL) return NULL;
  *seen = 1;
  if (kind == TASKHOST_JSON) {
    taskhost_bytes raw = {from, (size_t)(j->at - from)};
    *(taskhost_bytes *)arg->value = raw;
    return NULL;
  }
  if (type != types[kind]) return taskhost_text("argument %s: %s where %s belongs", arg->name, found[type], wanted[kind]);
  switch (kind) {
  case TASKHOST_STRING: {
    taskhost__json text = {from + 1, j->at, 0};
    taskhost__json_text(&text, (taskhost_bytes *)arg->value);
    break;
  }
  case TASKHOST_INTEGER:
    if (!taskhost__parse_integer(from, j->at, (int64_t *)arg->value))
      return taskhost_text("argument %s: number %.*s where integer belongs", arg->name, (int)(j->at - from), from);
    break;
  case TASKHOST_NUMBER: *(double *)arg->value = taskhost__parse_number(from, j->at); break;
  case TASKHOST_BOOL: *(int *)arg->value = *from == 't';
  }
  return NULL;
}

static inline int taskhost__same(taskhost_bytes a, const char *b) {
  return a.length == taskhost__length(b) && memcmp(a.data, b, a.length) == 0;
}

static inline int taskhost_args(const taskhost_arg *args, size_t count) {
  taskhost_bytes input = taskhost_input();
  taskhost__json j = {input.data, input.data + input.length, 0};
  int *seen = (int *)taskhost_alloc(count * sizeof *seen);
  const char *wrong = NULL; // the first that is wrong with an argument: what is no JSON goes first
  taskhost__peek(&j);
  if (j.at < j.end) {
    if (!taskhost__accept(&j, '{')) return taskhost_invalid("the arguments are not a JSON object");
    if (!taskhost__accept(&j, '}')) {
      do {
        taskhost_bytes name;
        if (!(taskhost__accept(&j, '"') && taskhost__json_text(&j, &name) && taskhost__accept(&j, ':')))
          return taskhost_invalid("the arguments are not a JSON object");
        size_t i = 0;
        while (i < count && !taskhost__same(name, args[i].name)) i++;
        if (i < count) {
          const char *why = taskhost__json_arg(&j, &args[i], &seen[i]);
          if (why && !wrong) wrong = why;
        } else {
          if (!wrong) wrong = taskhost_text("there is no argument \"%s\"", name.data);
          taskhost__json_skip(&j);
        }
      } while (taskhost__accept(&j, ','));
      if (!taskhost__accept(&j, '}')) return taskhost_invalid("the arguments are not a JSON object");
    }
    taskhost__peek(&j);
    if (j.at < j.end) return taskhost_invalid("something follows the JSON object of the arguments");
  }
  for (size_t i = 0; i < count && !wrong; i++)
    if ((args[i].kind & TASKHOST_REQUIRED) && !seen[i]) wrong = taskhost_text("argument %s is missing", args[i].name);
  return wrong ? taskhost_invalid("%s", wrong) : 0;
}

static inline const char *taskhost_header(const taskhost_response *response, const char *name) {
  if (!response->headers.length) return NULL;
  taskhost_bytes copy = {(char *)taskhost_alloc(response->headers.length), response->headers.length}, key, value;
  memcpy(copy.data, response->headers.data, copy.length);
  taskhost__json j = {copy.data, copy.data + copy.length, 0};
  if (!taskhost__accept(&j, '{')) return NULL;
  while (taskhost__accept(&j, '"') && taskhost__json_text(&j, &key) && taskhost__accept(&j, ':') && taskhost__accept(&j, '"') &&
         taskhost__json_text(&j, &value)) {
    if (taskhost__same(key, name)) return value.data;
    taskhost__accept(&j, ',');
  }
  return NULL;
}

#endif
