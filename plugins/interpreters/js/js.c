// js.wasm: QuickJS, as the interpreter that turns a file NAME.js into a plugin. docs/javascript.md says what a script can do, and
// docs/guest-functions.md what the host calls here.
//
// What a call needs is made when the script is loaded, since the host takes its snapshot then: a call looks nothing up, and touches little.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "quickjs.h"
#include "taskhost.h"
#include "wasi.h"

static const char prelude[] = {
#include "prelude.inc"
    0};

static const char typescript[] = {
#include "typescript.inc"
    0};

// The stack in Wasm's memory, set by the linker, and what JavaScript gets of it: the rest is for the C code that it has called.
enum { STACK = 1 << 20, STACK_RESERVE = 128 << 10 };

// Calls run no garbage collection before they have allocated this much: reference counts free what is not in a cycle.
enum { GARBAGE = 4 << 20 };

static JSRuntime *runtime;
static JSContext *context;
static size_t allocated;
static bool refused; // in this call: there was no more memory

// How a value crosses.
typedef enum { TEXT, BYTES, JSON, ARGUMENTS } kind;

typedef struct {
  JSValue value, schema;
  kind input;
} function;

static function *functions;
static int count;

// Functions of the prelude, and of JavaScript itself.
static JSValue explain, not_json, read_arguments, list_functions, run_timer, forget_timers, uint8array, is_view, array_buffer;
static JSAtom atom_then;

// --- memory

// Large blocks have some room at their end, which text that grows makes use of.
static size_t roomy(size_t size) { return size < 256 || size > SIZE_MAX / 2 ? size : size + size / 8; }

// As QuickJS's own, but they know the sizes: those go into its decision when to collect garbage.
static void *js_allocate(JSMallocState *s, size_t size) {
  void *p = malloc(roomy(size));
  if (!p) {
    refused = true;
    return NULL;
  }
  s->malloc_count++;
  s->malloc_size += malloc_usable_size(p);
  allocated = s->malloc_size;
  return p;
}

static void js_release(JSMallocState *s, void *p) {
  if (!p) return;
  s->malloc_count--;
  s->malloc_size -= malloc_usable_size(p);
  allocated = s->malloc_size;
  free(p);
}

static void *js_reallocate(JSMallocState *s, void *p, size_t size) {
  if (!p) return size ? js_allocate(s, size) : NULL;
  if (!size) {
    js_release(s, p);
    return NULL;
  }
  size_t old = malloc_usable_size(p);
  p = realloc(p, roomy(size));
  if (!p) {
    refused = true;
    return NULL;
  }
  s->malloc_size += malloc_usable_size(p) - old;
  allocated = s->malloc_size;
  return p;
}

static size_t js_size(const void *p) { return malloc_usable_size((void *)p); }

static const JSMallocFunctions memory = {js_allocate, js_release, js_reallocate, js_size};

// --- values

static const char *text_of(JSValueConst v, size_t *length) { return JS_ToCStringLen(context, length, v); }

// QuickJS writes half of a surrogate pair as three bytes that are no UTF-8: U+FFFD has as many. Text with such bytes is a copy already.
static void mend(const char *text, size_t length) {
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  while (at < end && (at = memchr(at, 0xed, (size_t)(end - at)))) {
    if (end - at >= 3 && at[1] >= 0xa0) memcpy((void *)at, "\xef\xbf\xbd", 3);
    at++;
  }
}

// The bytes that a value stands for; string is what is to be freed afterwards.
typedef struct {
  const void *data;
  size_t length;
  const char *string;
} content;

static void release(content *c) {
  if (c->string) JS_FreeCString(context, c->string);
}

static bool content_of_string(JSValueConst v, content *c) {
  c->data = c->string = text_of(v, &c->length);
  if (!c->string) return false;
  mend(c->string, c->length);
  return true;
}

// Text as UTF-8, bytes as they are, nothing as nothing, and all else as JSON. False: an exception.
static bool content_of(JSValueConst v, content *c) {
  *c = (content){NULL, 0, NULL};
  if (JS_IsUndefined(v) || JS_IsNull(v)) return true;
  if (JS_IsString(v)) return content_of_string(v, c);
  if (JS_IsObject(v)) {
    JSValue view = JS_Call(context, is_view, JS_UNDEFINED, 1, &v);
    if (JS_ToBool(context, view)) {
      // A DataView has the same properties as a typed array.
      JSValue buffer = JS_GetPropertyStr(context, v, "buffer"), from = JS_GetPropertyStr(context, v, "byteOffset"),
              length = JS_GetPropertyStr(context, v, "byteLength");
      uint32_t at = 0, n = 0;
      size_t size = 0;
      JS_ToUint32(context, &at, from);
      JS_ToUint32(context, &n, length);
      uint8_t *data = JS_GetArrayBuffer(context, &size, buffer);
      JS_FreeValue(context, buffer);
      if (!data) return false;
      if (at > size || n > size - at) { // a class of the script's has properties of its own
        JS_ThrowRangeError(context, "the view is larger than its buffer");
        return false;
      }
      c->data = data + at;
      c->length = n;
      return true;
    }
    if (JS_IsInstanceOf(context, v, array_buffer) > 0) return (c->data = JS_GetArrayBuffer(context, &c->length, v)) != NULL;
  }
  JSValue json = JS_JSONStringify(context, v, JS_UNDEFINED, JS_UNDEFINED);
  if (JS_IsException(json)) return false;
  bool ok = JS_IsUndefined(json) || content_of_string(json, c); // a function, for one, has no JSON
  JS_FreeValue(context, json);
  return ok;
}

static JSValue bytes_value(const void *data, size_t length) {
  JSValue buffer = JS_NewArrayBufferCopy(context, data, length);
  if (JS_IsException(buffer)) return buffer;
  JSValue array = JS_CallConstructor(context, uint8array, 1, &buffer);
  JS_FreeValue(context, buffer);
  return array;
}

// The value of some bytes; they end with a zero that is not counted.
static JSValue value_of(taskhost_bytes b, kind k) {
  if (k == TEXT) return JS_NewStringLen(context, b.data, b.length);
  if (k == BYTES) return bytes_value(b.data, b.length);
  return JS_ParseJSON(context, b.data, b.length, "<json>");
}

// --- what scripts call

#define FUNCTION(name) static JSValue name(JSContext *js, JSValueConst self, int argc, JSValueConst *argv)
#define UNUSED (void)js, (void)self, (void)argc, (void)argv

// 0 to 2 of "text", "bytes", "json", where undefined is text. -1: an exception.
static int kind_of(JSValueConst v) {
  if (JS_IsUndefined(v)) return TEXT;
  const char *name = text_of(v, NULL);
  if (!name) return -1;
  int k = !strcmp(name, "text") ? TEXT : !strcmp(name, "bytes") ? BYTES : !strcmp(name, "json") ? JSON : -1;
  if (k < 0) JS_ThrowTypeError(context, "\"%s\" is none of \"text\", \"bytes\" and \"json\"", name);
  JS_FreeCString(context, name);
  return k;
}

static bool whole(JSValueConst v, int32_t *to) {
  double d;
  if (JS_ToFloat64(context, &d, v)) return false;
  *to = d >= INT32_MAX ? INT32_MAX : d > 0 ? (int32_t)d : 0;
  return true;
}

// progress(step, total, message), or progress(fraction, message).
FUNCTION(js_progress) {
  UNUSED;
  bool steps = JS_IsNumber(argv[1]);
  JSValueConst said = argv[steps ? 2 : 1];
  int32_t step, total;
  double fraction;
  if (steps ? !whole(argv[0], &step) || !whole(argv[1], &total) : JS_ToFloat64(js, &fraction, argv[0])) return JS_EXCEPTION;
  content message = {NULL, 0, NULL};
  if (!JS_IsUndefined(said) && !JS_IsNull(said) && !content_of_string(said, &message)) return JS_EXCEPTION;
  if (steps)
    taskhost_progress(step, total, message.string);
  else
    taskhost_progress_fraction(fraction == fraction ? fraction : 0, message.string); // NaN would mean step of total
  release(&message);
  return JS_UNDEFINED;
}

FUNCTION(js_cancelled) {
  UNUSED;
  return JS_NewBool(js, taskhost_cancelled());
}

FUNCTION(js_config) {
  UNUSED;
  const char *key = text_of(argv[0], NULL);
  if (!key) return JS_EXCEPTION;
  const char *value = taskhost_config(key);
  JS_FreeCString(js, key);
  return value ? JS_NewString(js, value) : JS_UNDEFINED;
}

FUNCTION(js_var_get) {
  UNUSED;
  int k = kind_of(argv[1]);
  const char *key = k < 0 ? NULL : text_of(argv[0], NULL);
  if (!key) return JS_EXCEPTION;
  taskhost_bytes b = taskhost_var(key);
  JS_FreeCString(js, key);
  return b.data ? value_of(b, k) : JS_UNDEFINED;
}

FUNCTION(js_var_set) {
  UNUSED;
  content c;
  const char *key = text_of(argv[0], NULL);
  if (!key) return JS_EXCEPTION;
  bool ok = content_of(argv[1], &c);
  if (ok) taskhost_set_var(key, c.data, c.length), release(&c);
  JS_FreeCString(js, key);
  return ok ? JS_UNDEFINED : JS_EXCEPTION;
}

FUNCTION(js_checkpoint_save) {
  UNUSED;
  content c;
  if (!content_of(argv[0], &c)) return JS_EXCEPTION;
  const char *why = taskhost_save_checkpoint(c.data, c.length);
  release(&c);
  if (!why) return JS_UNDEFINED;
  JSValue error = JS_NewError(js);
  JS_DefinePropertyValueStr(js, error, "message", JS_NewString(js, why), JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
  return JS_Throw(js, error);
}

FUNCTION(js_checkpoint_load) {
  UNUSED;
  int k = kind_of(argv[0]);
  if (k < 0) return JS_EXCEPTION;
  taskhost_bytes b = taskhost_load_checkpoint();
  return b.data ? value_of(b, k) : JS_UNDEFINED;
}

FUNCTION(js_log) {
  UNUSED;
  content text;
  if (!content_of_string(argv[1], &text)) return JS_EXCEPTION;
  taskhost_log((enum taskhost_level)JS_VALUE_GET_INT(argv[0]), "%s", text.string);
  release(&text);
  return JS_UNDEFINED;
}

FUNCTION(js_logs) {
  UNUSED;
  return JS_NewBool(js, taskhost_logs((enum taskhost_level)JS_VALUE_GET_INT(argv[0])));
}

// A list of names and values as C strings, one after the other; NULL: an exception. free_pairs frees it.
static const char **pairs_of(JSValueConst list) {
  uint32_t n = 0;
  JSValue length = JS_GetPropertyStr(context, list, "length");
  JS_ToUint32(context, &n, length);
  const char **pairs = calloc(n + 1, sizeof *pairs);
  for (uint32_t i = 0; pairs && i < n; i++) {
    size_t size = 0;
    JSValue v = JS_GetPropertyUint32(context, list, i);
    pairs[i] = text_of(v, &size);
    JS_FreeValue(context, v);
    if (pairs[i]) mend(pairs[i], size);
  }
  if (!pairs) JS_ThrowOutOfMemory(context);
  return pairs;
}

static void free_pairs(const char **pairs) {
  for (const char **p = pairs; *p; p++) JS_FreeCString(context, *p);
  free(pairs);
}

// metric(0, 1 or 2, name, value, labels): what the host says to it, or undefined.
FUNCTION(js_metric) {
  UNUSED;
  static const char *(*const kinds[])(const char *, double, const char *const *) = {taskhost_metric_add, taskhost_metric_set, taskhost_metric_observe};
  double value;
  if (JS_ToFloat64(js, &value, argv[2])) return JS_EXCEPTION;
  const char *name = text_of(argv[1], NULL), **labels = name ? pairs_of(argv[3]) : NULL;
  if (!labels) return JS_EXCEPTION;
  const char *why = kinds[JS_VALUE_GET_INT(argv[0])](name, value, labels);
  free_pairs(labels);
  JS_FreeCString(js, name);
  return why ? JS_NewString(js, why) : JS_UNDEFINED;
}

// http(method, url, headers, body): the status, the headers, the body as an ArrayBuffer.
FUNCTION(js_http) {
  UNUSED;
  JSValue answer = JS_EXCEPTION;
  content body;
  const char *method = text_of(argv[0], NULL), *url = method ? text_of(argv[1], NULL) : NULL, **headers = url ? pairs_of(argv[2]) : NULL;
  if (headers && content_of(argv[3], &body)) {
    taskhost_request request = {method, url, headers, body.data, body.length};
    taskhost_response r = taskhost_http(&request);
    release(&body);
    answer = JS_NewArray(js);
    JS_SetPropertyUint32(js, answer, 0, JS_NewInt32(js, r.status));
    JS_SetPropertyUint32(js, answer, 1, r.headers.length ? value_of(r.headers, JSON) : JS_NewObject(js));
    JS_SetPropertyUint32(js, answer, 2, bytes_value(r.body.data, r.body.length));
  }
  if (headers) free_pairs(headers);
  if (url) JS_FreeCString(js, url);
  if (method) JS_FreeCString(js, method);
  return answer;
}

FUNCTION(js_encode) {
  UNUSED;
  content c;
  if (!content_of_string(argv[0], &c)) return JS_EXCEPTION;
  JSValue v = bytes_value(c.data, c.length);
  release(&c);
  return v;
}

FUNCTION(js_decode) {
  UNUSED;
  content c;
  if (!content_of(argv[0], &c)) return JS_EXCEPTION;
  const char *data = c.data ? c.data : "";
  size_t mark = c.length >= 3 && !memcmp(data, "\xef\xbb\xbf", 3) ? 3 : 0;
  JSValue v = JS_NewStringLen(js, data + mark, c.length - mark);
  release(&c);
  return v;
}

// bytes(data): a copy.
FUNCTION(js_bytes) {
  UNUSED;
  content c;
  if (!content_of(argv[0], &c)) return JS_EXCEPTION;
  JSValue v = bytes_value(c.data, c.length);
  release(&c);
  return v;
}

// fill(bytes): random ones.
FUNCTION(js_fill) {
  UNUSED;
  content c;
  if (!content_of(argv[0], &c)) return JS_EXCEPTION;
  for (size_t done = 0; done < c.length;) { // getentropy gives at most 256 at a time
    size_t n = c.length - done < 256 ? c.length - done : 256;
    if (getentropy((char *)c.data + done, n)) abort();
    done += n;
  }
  return JS_UNDEFINED;
}

// Math.random: QuickJS's own has its state in the snapshot, so that all tasks would get the same numbers.
static uint64_t seed;
static bool seeded;

FUNCTION(js_random) {
  UNUSED;
  if (!seeded) {
    if (getentropy(&seed, sizeof seed)) abort();
    seeded = true;
  }
  uint64_t z = seed += 0x9e3779b97f4a7c15; // SplitMix64
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return JS_NewFloat64(js, (double)(z >> 11) * 0x1p-53);
}

FUNCTION(js_now) {
  UNUSED;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return JS_NewFloat64(js, (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6);
}

FUNCTION(js_sleep) {
  UNUSED;
  double ms;
  if (JS_ToFloat64(js, &ms, argv[0])) return JS_EXCEPTION;
  if (!(ms > 0)) return JS_UNDEFINED;
  struct timespec t = {(time_t)(ms / 1e3), (long)((ms - (double)(time_t)(ms / 1e3) * 1e3) * 1e6)};
  nanosleep(&t, NULL);
  return JS_UNDEFINED;
}

// Set by the prelude when there are timers: those that a call leaves behind are forgotten.
static bool timers;

FUNCTION(js_timer) {
  UNUSED;
  timers = true;
  return JS_UNDEFINED;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

FUNCTION(js_btoa) {
  UNUSED;
  size_t length;
  const char *text = text_of(argv[0], &length);
  if (!text) return JS_EXCEPTION;
  char *out = js_malloc(js, (length + 2) / 3 * 4 + 1);
  size_t n = 0;
  uint32_t bits = 0;
  int have = 0;
  JSValue v = JS_EXCEPTION;
  for (size_t i = 0; out && i < length; i++) {
    unsigned c = (unsigned char)text[i];
    if (c >= 0x80) { // Latin-1 takes two bytes
      if (c > 0xc3) {
        JS_ThrowRangeError(js, "btoa: the string has characters beyond U+00FF; encode it with TextEncoder first");
        goto end;
      }
      c = (c << 6 | ((unsigned char)text[++i] & 63)) & 0xff;
    }
    bits = bits << 8 | c;
    if (++have == 3) {
      for (int shift = 18; shift >= 0; shift -= 6) out[n++] = base64[bits >> shift & 63];
      bits = 0, have = 0;
    }
  }
  if (!out) goto end;
  if (have) {
    bits <<= 8 * (3 - have);
    for (int i = 0; i < 4; i++) out[n++] = i <= have ? base64[bits >> (18 - 6 * i) & 63] : '=';
  }
  v = JS_NewStringLen(js, out, n);
end:
  js_free(js, out);
  JS_FreeCString(js, text);
  return v;
}

FUNCTION(js_atob) {
  UNUSED;
  size_t length;
  const char *text = text_of(argv[0], &length);
  if (!text) return JS_EXCEPTION;
  char *out = js_malloc(js, length * 2 + 1);
  size_t n = 0, digits = 0, padding = 0;
  uint32_t bits = 0;
  bool wrong = false;
  for (size_t i = 0; out && i < length; i++) {
    char c = text[i];
    const char *digit = c ? strchr(base64, c) : NULL;
    if (c && strchr(" \t\n\f\r", c)) continue;
    if (c == '=') {
      padding++;
      continue;
    }
    if (!digit || padding) {
      wrong = true;
      break;
    }
    bits = bits << 6 | (uint32_t)(digit - base64);
    if (++digits % 4 == 1) continue;
    unsigned byte = bits >> (2 * (3 - (digits + 3) % 4)) & 0xff; // as Latin-1 in UTF-8
    if (byte >= 0x80) out[n++] = (char)(0xc0 | byte >> 6), byte = 0x80 | (byte & 63);
    out[n++] = (char)byte;
  }
  JSValue v = JS_EXCEPTION;
  if (wrong || digits % 4 == 1 || padding > 2 || (padding && (digits + padding) % 4)) {
    JS_ThrowTypeError(js, "atob: the string is not base64");
  } else if (out) {
    v = JS_NewStringLen(js, out, n);
  }
  js_free(js, out);
  JS_FreeCString(js, text);
  return v;
}

// What the prelude gets. It makes the globals of them.
static const JSCFunctionListEntry host[] = {
    JS_CFUNC_DEF("progress", 3, js_progress),
    JS_CFUNC_DEF("cancelled", 0, js_cancelled),
    JS_CFUNC_DEF("config", 1, js_config),
    JS_CFUNC_DEF("get", 2, js_var_get),
    JS_CFUNC_DEF("set", 2, js_var_set),
    JS_CFUNC_DEF("save", 1, js_checkpoint_save),
    JS_CFUNC_DEF("load", 1, js_checkpoint_load),
    JS_CFUNC_DEF("log", 2, js_log),
    JS_CFUNC_DEF("logs", 1, js_logs),
    JS_CFUNC_DEF("metric", 4, js_metric),
    JS_CFUNC_DEF("http", 4, js_http),
    JS_CFUNC_DEF("encode", 1, js_encode),
    JS_CFUNC_DEF("decode", 1, js_decode),
    JS_CFUNC_DEF("bytes", 1, js_bytes),
    JS_CFUNC_DEF("fill", 1, js_fill),
    JS_CFUNC_DEF("random", 0, js_random),
    JS_CFUNC_DEF("now", 0, js_now),
    JS_CFUNC_DEF("sleep", 1, js_sleep),
    JS_CFUNC_DEF("timer", 0, js_timer),
    JS_CFUNC_DEF("btoa", 1, js_btoa),
    JS_CFUNC_DEF("atob", 1, js_atob),
};

// --- promises

// A promise that was rejected and that nobody waits for is an error of the call, as in other runtimes. The first few are kept.
enum { MAX_REJECTED = 16 };
static struct { JSValue promise, reason; } rejected[MAX_REJECTED];
static int rejections;

static void track(JSContext *js, JSValueConst promise, JSValueConst reason, JS_BOOL handled, void *opaque) {
  (void)opaque;
  if (!handled) {
    if (rejections < MAX_REJECTED) {
      rejected[rejections].promise = JS_DupValue(js, promise);
      rejected[rejections++].reason = JS_DupValue(js, reason);
    }
    return;
  }
  for (int i = 0; i < rejections; i++) {
    if (JS_VALUE_GET_PTR(rejected[i].promise) != JS_VALUE_GET_PTR(promise)) continue;
    JS_FreeValue(js, rejected[i].promise);
    JS_FreeValue(js, rejected[i].reason);
    rejections--;
    memmove(&rejected[i], &rejected[i + 1], (size_t)(rejections - i) * sizeof *rejected);
    return;
  }
}

// What became of the promise that a function returned. A promise of a call before this one, in the same sandbox, does not count.
static enum { PENDING, FULFILLED, REJECTED } state;
static JSValue settled;
static int32_t calls;

static JSValue settle(JSContext *js, JSValueConst self, int argc, JSValueConst *argv, int how, JSValue *number) {
  (void)self, (void)argc;
  if (state == PENDING && JS_VALUE_GET_INT(*number) == calls) {
    state = how;
    settled = JS_DupValue(js, argv[0]);
  }
  return JS_UNDEFINED;
}

// Runs what has been put off. It takes result, and returns it, or what it was a promise for.
static JSValue finish(JSValue result) {
  bool waits = false;
  state = FULFILLED;
  if (JS_IsObject(result)) {
    JSValue then = JS_GetProperty(context, result, atom_then);
    if (JS_IsException(then)) goto fail;
    if (JS_IsFunction(context, then)) {
      JSValue number = JS_NewInt32(context, ++calls);
      JSValue handlers[] = {JS_NewCFunctionData(context, settle, 1, FULFILLED, 1, &number), JS_NewCFunctionData(context, settle, 1, REJECTED, 1, &number)};
      waits = true;
      state = PENDING;
      JSValue ignored = JS_Call(context, then, result, 2, handlers);
      if (JS_IsException(ignored) && state == PENDING) state = REJECTED, settled = JS_GetException(context);
      JS_FreeValue(context, ignored);
      JS_FreeValue(context, handlers[0]);
      JS_FreeValue(context, handlers[1]);
    }
    JS_FreeValue(context, then);
  }
  for (;;) {
    JSContext *js;
    int more;
    while ((more = JS_ExecutePendingJob(runtime, &js)) > 0) {
    }
    if (more < 0) goto fail;
    if (state != PENDING) break;
    JSValue ran = JS_Call(context, run_timer, JS_UNDEFINED, 0, NULL);
    if (JS_IsException(ran)) goto fail;
    if (!JS_ToBool(context, ran)) {
      JS_ThrowTypeError(context, "the promise that it returned can never settle: nothing is left to run");
      goto fail;
    }
  }
  if (waits) {
    JS_FreeValue(context, result);
    result = settled;
  }
  if (state == REJECTED) return JS_Throw(context, settled);
  if (rejections) {
    JS_FreeValue(context, result);
    return JS_Throw(context, JS_DupValue(context, rejected[0].reason));
  }
  return result;
fail:
  JS_FreeValue(context, result);
  return JS_EXCEPTION;
}

// Leaves nothing of a call behind, for a sandbox that serves another one.
static void tidy(void) {
  JSContext *js;
  while (JS_ExecutePendingJob(runtime, &js)) { // of a call that failed before it came to them
  }
  while (rejections) {
    rejections--;
    JS_FreeValue(context, rejected[rejections].promise);
    JS_FreeValue(context, rejected[rejections].reason);
  }
  if (timers) {
    JS_FreeValue(context, JS_Call(context, forget_timers, JS_UNDEFINED, 0, NULL));
    timers = false;
  }
}

// --- errors

// What the prelude finds in an exception.
enum { INVALID = 1, OUT_OF_MEMORY };

// Makes the exception that came of reading the input one that says so.
static JSValue blame_input(void) {
  JSValue cause = JS_GetException(context), error = JS_Call(context, not_json, JS_UNDEFINED, 1, &cause);
  JS_FreeValue(context, cause);
  return JS_IsException(error) ? error : JS_Throw(context, error);
}

// Ends the call when memory is used up: the host sees that it was refused, and says which limit to raise.
static void give_up(void) {
  taskhost_fail("InternalError: out of memory");
  __builtin_trap();
}

// Makes the exception the error of the call, and returns 1.
static int fail(bool loading) {
  JSValue error = JS_GetException(context);
  if (refused && JS_IsNull(error)) give_up(); // there was not even enough for an error
  JSValueConst args[] = {error, JS_NewBool(context, loading)};
  JSValue said = JS_Call(context, explain, JS_UNDEFINED, 2, args);
  if (JS_IsException(said)) {
    if (refused) give_up();
    const char *text = text_of(error, NULL);
    return taskhost_fail("%s", text ? text : "it threw what cannot be made text");
  }
  JSValue first = JS_GetPropertyUint32(context, said, 0), second = JS_GetPropertyUint32(context, said, 1);
  size_t length = 0;
  const char *text = text_of(second, &length);
  if (!text || (refused && JS_VALUE_GET_INT(first) == OUT_OF_MEMORY)) give_up();
  mend(text, length);
  JS_VALUE_GET_INT(first) == INVALID ? taskhost_invalid("%s", text) : taskhost_fail("%s", text);
  JS_FreeCString(context, text);
  JS_FreeValue(context, second);
  JS_FreeValue(context, said);
  JS_FreeValue(context, error);
  return 1;
}

// --- the host calls

static JSValue eval(const char *code, size_t length, const char *name, int flags) { return JS_Eval(context, code, length, name, flags); }

static char *script;
static const char entry[] = "<taskhost>";

static char *normalize(JSContext *js, const char *base, const char *name, void *opaque) {
  (void)opaque;
  return js_strdup(js, strcmp(base, entry) ? name : script);
}

static JSModuleDef *import(JSContext *js, const char *name, void *opaque) {
  (void)opaque;
  JS_ThrowReferenceError(js, "cannot import \"%s\": a script is one file; put its modules into one with a bundler, such as esbuild --bundle --format=esm", name);
  return NULL;
}

static JSValue property(JSValueConst object, const char *name) { return JS_GetPropertyStr(context, object, name); }

// Makes the engine and its globals.
static bool start(void) {
  if (!(runtime = JS_NewRuntime2(&memory, NULL)) || !(context = JS_NewContext(runtime))) return false;
  JS_SetMaxStackSize(runtime, STACK - STACK_RESERVE);
  JS_SetModuleLoaderFunc(runtime, normalize, import, NULL);
  JS_SetHostPromiseRejectionTracker(runtime, track, NULL);
  JSValue global = JS_GetGlobalObject(context), functions = JS_NewObject(context);
  JS_SetPropertyFunctionList(context, functions, host, sizeof host / sizeof *host);
  atom_then = JS_NewAtom(context, "then");
  array_buffer = property(global, "ArrayBuffer");
  is_view = property(array_buffer, "isView");
  uint8array = property(global, "Uint8Array");
  JSValue make = eval(prelude, sizeof prelude - 1, entry, JS_EVAL_TYPE_GLOBAL);
  JSValue made = JS_IsException(make) ? make : JS_Call(context, make, JS_UNDEFINED, 1, &functions);
  if (JS_IsException(made)) {
    JSValue error = JS_GetException(context), stack = property(error, "stack");
    taskhost_fail("the interpreter's own JavaScript: %s\n%s", text_of(error, NULL), text_of(stack, NULL));
    return false;
  }
  explain = property(made, "explain");
  not_json = property(made, "notJSON");
  read_arguments = property(made, "readArguments");
  list_functions = property(made, "listFunctions");
  run_timer = property(made, "runTimer");
  forget_timers = property(made, "forgetTimers");
  JS_FreeValue(context, functions);
  JS_FreeValue(context, make);
  JS_FreeValue(context, made);
  JS_FreeValue(context, global);
  return true;
}

// Runs the script's own code, and gives what it exports: a list of name, function, kind of input and schema. It may be an exception.
static JSValue run(const char *source, size_t length) {
  JSValue module = eval(source, length, script, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  if (JS_IsException(module)) return module;
  JSValue result = finish(JS_EvalFunction(context, module));
  if (JS_IsException(result)) return result;
  JS_FreeValue(context, result);
  // A second module imports the first: so it gets at its exports.
  static const char exports[] = "import * as exports from 'script'; globalThis.exports = exports;";
  result = eval(exports, sizeof exports - 1, entry, JS_EVAL_TYPE_MODULE);
  if (JS_IsException(result)) return result;
  JS_FreeValue(context, result);
  JSValue global = JS_GetGlobalObject(context), namespace = property(global, "exports");
  JSAtom name = JS_NewAtom(context, "exports");
  JS_DeleteProperty(context, global, name, 0);
  JSValue list = JS_Call(context, list_functions, JS_UNDEFINED, 1, &namespace);
  JS_FreeAtom(context, name);
  JS_FreeValue(context, namespace);
  JS_FreeValue(context, global);
  return list;
}

static bool is_typescript(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && (!strcmp(dot, ".ts") || !strcmp(dot, ".mts"));
}

// A script without its types, made by an engine of its own that leaves nothing behind: text that the caller frees. NULL: the host was told why.
static char *without_types(const char *source, size_t *length) {
  JSRuntime *own = JS_NewRuntime2(&memory, NULL);
  JSContext *js = own ? JS_NewContext(own) : NULL;
  if (!js) give_up();
  JS_SetMaxStackSize(own, STACK - STACK_RESERVE);
  JSValue result = JS_Eval(js, typescript, sizeof typescript - 1, entry, JS_EVAL_TYPE_GLOBAL);
  if (!JS_IsException(result)) {
    JS_FreeValue(js, result);
    JSValue global = JS_GetGlobalObject(js), strip = JS_GetPropertyStr(js, global, "strip");
    JSValue args[] = {JS_NewStringLen(js, source, *length), JS_NewString(js, script)};
    result = JS_IsException(args[0]) ? JS_EXCEPTION : JS_Call(js, strip, JS_UNDEFINED, 2, args);
    JS_FreeValue(js, args[0]);
    JS_FreeValue(js, args[1]);
    JS_FreeValue(js, strip);
    JS_FreeValue(js, global);
  }
  char *text = NULL;
  if (JS_IsException(result)) {
    JSValue error = JS_GetException(js), message = JS_GetPropertyStr(js, error, "message");
    const char *said = JS_ToCString(js, message);
    if (refused || !said) give_up();
    taskhost_fail("%s", said);
    JS_FreeCString(js, said);
    JS_FreeValue(js, message);
    JS_FreeValue(js, error);
  } else {
    const char *stripped = JS_ToCStringLen(js, length, result);
    if (!stripped || !(text = malloc(*length + 1))) give_up();
    memcpy(text, stripped, *length + 1);
    JS_FreeCString(js, stripped);
  }
  JS_FreeValue(js, result);
  JS_FreeContext(js);
  JS_FreeRuntime(own);
  return text;
}

__attribute__((export_name("taskhost_script_load"))) int load(uint32_t name_length) {
  taskhost__begin();
  taskhost_bytes input = taskhost_input();
  if (name_length > input.length) return taskhost_fail("the script's name is longer than the input");
  if (!(script = strndup(input.data, name_length))) return 1;
  char *source = input.data + name_length, *stripped = NULL;
  size_t length = input.length - name_length, mark = length >= 3 && !memcmp(source, "\xef\xbb\xbf", 3) ? 3 : 0;
  source += mark;
  length -= mark;
  if (is_typescript(script) && !(source = stripped = without_types(source, &length))) return 1;
  if (!start()) return 1;
  JSValue list = run(source, length);
  if (JS_IsException(list)) return fail(true);
  free(stripped);
  JSValue n = property(list, "length");
  count = JS_VALUE_GET_INT(n);
  functions = calloc((size_t)count, sizeof *functions);
  taskhost_buffer names = {NULL, 0, 0};
  for (int i = 0; i < count; i++) {
    JSValue item = JS_GetPropertyUint32(context, list, (uint32_t)i), name = property(item, "name"), input_kind = property(item, "input");
    size_t size;
    const char *text = text_of(name, &size);
    taskhost_put(&names, text, size);
    taskhost_put(&names, "\n", 1);
    functions[i] = (function){property(item, "value"), property(item, "schema"), (kind)JS_VALUE_GET_INT(input_kind)};
    JS_FreeCString(context, text);
    JS_FreeValue(context, name);
    JS_FreeValue(context, item);
  }
  JS_FreeValue(context, list);
  taskhost_output(names.data, names.length);
  tidy();
  taskhost__begin();
  JS_RunGC(runtime);
  JS_SetGCThreshold(runtime, allocated + GARBAGE);
  return 0;
}

__attribute__((export_name("taskhost_script_call"))) int call(uint32_t n) {
  taskhost__begin();
  if (n >= (uint32_t)count) return taskhost_fail("the script has no function %d", (int)n);
  JS_UpdateStackTop(runtime);
  seeded = refused = false;
  function *f = &functions[n];
  taskhost_bytes input = taskhost_input();
  JSValue argument;
  if (f->input == ARGUMENTS) {
    JSValue args[] = {value_of(input, TEXT), f->schema};
    argument = JS_Call(context, read_arguments, JS_UNDEFINED, 2, args);
    JS_FreeValue(context, args[0]);
  } else {
    argument = value_of(input, f->input);
    if (f->input == JSON && JS_IsException(argument)) argument = blame_input();
  }
  if (JS_IsException(argument)) return fail(false);
  JSValue result = JS_Call(context, f->value, JS_UNDEFINED, 1, &argument);
  JS_FreeValue(context, argument);
  if (!JS_IsException(result)) result = finish(result);
  content c;
  int code = 1;
  if (JS_IsException(result) || !content_of(result, &c)) {
    fail(false);
  } else {
    code = taskhost_output(c.data, c.length);
    release(&c);
  }
  JS_FreeValue(context, result);
  tidy();
  return code;
}
