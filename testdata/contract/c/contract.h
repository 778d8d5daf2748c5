// The contract plugin in C and C++: what testdata/contract_test.go calls in each language. See there for what the functions do.
#include "taskhost.h"

TASKHOST_EXPORT(echo) {
  taskhost_bytes input = taskhost_input();
  return taskhost_output(input.data, input.length);
}

TASKHOST_EXPORT(upper) {
  taskhost_bytes text = taskhost_input();
  int64_t total = 1, done = 0;
  for (size_t i = 0; i < text.length; i++) total += text.data[i] == '\n';
  for (size_t i = 0; i <= text.length; i++) {
    size_t end = i;
    while (end < text.length && text.data[end] != '\n') end++;
    taskhost_progress(++done, total, taskhost_text("%.*s", (int)(end - i), text.data + i));
    for (; i < end; i++)
      if (text.data[i] >= 'a' && text.data[i] <= 'z') text.data[i] -= 'a' - 'A';
  }
  return taskhost_output(text.data, text.length);
}

TASKHOST_EXPORT(fail) { return taskhost_fail("%s", taskhost_input().data); }

TASKHOST_EXPORT(invalid) { return taskhost_invalid("%s", taskhost_input().data); }

TASKHOST_EXPORT(panic) { TASKHOST_FAIL("%s", taskhost_input().data); }

TASKHOST_EXPORT(trap) { __builtin_trap(); }

TASKHOST_EXPORT(action) {
  taskhost_bytes name = {NULL, 0};
  int64_t times = 0;
  int loud = 0;
  double scale = 0;
  const taskhost_arg args[] = {
      {"name", TASKHOST_STRING + TASKHOST_REQUIRED, &name},
      {"times", TASKHOST_INTEGER, &times},
      {"loud", TASKHOST_BOOL, &loud},
      {"scale", TASKHOST_NUMBER, &scale},
  };
  if (taskhost_args(args, sizeof args / sizeof *args)) return 1;
  taskhost_buffer b = {NULL, 0, 0};
  taskhost_json_open(&b, '{');
  taskhost_json_key(&b, "name");
  taskhost_json_string(&b, name.data, name.length);
  taskhost_json_key(&b, "times");
  taskhost_json_integer(&b, times);
  taskhost_json_key(&b, "loud");
  taskhost_json_bool(&b, loud);
  taskhost_json_key(&b, "scale");
  taskhost_json_number(&b, scale);
  taskhost_json_close(&b, '}');
  return taskhost_output(b.data, b.length);
}

TASKHOST_EXPORT(config) {
  const char *value = taskhost_config(taskhost_input().data);
  return value ? taskhost_output_text(value) : taskhost_fail("no such key");
}

TASKHOST_EXPORT(logs) {
  const char *text = taskhost_input().data;
  taskhost_log(TASKHOST_DEBUG, "%s", text);
  taskhost_log(TASKHOST_INFO, "%s", text);
  taskhost_log(TASKHOST_WARN, "%s", text);
  taskhost_log(TASKHOST_ERROR, "%s", text);
  return 0;
}

TASKHOST_EXPORT(metrics) {
  const char *why = taskhost_metric_add("pages_total", 2, TASKHOST_PAIRS("kind", "a"));
  if (!why) why = taskhost_metric_set("level", -1, NULL);
  if (!why) why = taskhost_metric_observe("seconds", 0.5, NULL);
  if (why) return taskhost_fail("%s", why);
  why = taskhost_metric_add("Pages", 1, NULL);
  return taskhost_output_text(why ? why : "taken");
}

TASKHOST_EXPORT(vars) {
  taskhost_bytes value = taskhost_input(), old = taskhost_var("kept");
  taskhost_set_var("kept", value.data, value.length);
  taskhost_set_var("gone", NULL, 0);
  return old.data ? taskhost_output(old.data, old.length) : taskhost_output_text("none");
}

TASKHOST_EXPORT(http) {
  const char *const headers[] = {"X-Sent", "1", NULL};
  taskhost_request request = {"PUT", taskhost_input().data, headers, "b", 1};
  taskhost_response r = taskhost_http(&request);
  return taskhost_output_text(taskhost_text("%d %s", r.status, r.body.data));
}

TASKHOST_EXPORT(header) {
  taskhost_request request = {NULL, taskhost_input().data, NULL, NULL, 0};
  taskhost_response r = taskhost_http(&request);
  return taskhost_output_text(taskhost_header(&r, "x-seen"));
}

static int is(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

TASKHOST_EXPORT(checkpoint) {
  taskhost_bytes input = taskhost_input(), old = taskhost_load_checkpoint();
  taskhost_buffer state = {NULL, 0, 0};
  if (is(input.data, "much")) {
    state.length = (64 << 10) + 1;
    state.data = (char *)taskhost_alloc(state.length);
  } else if (!is(input.data, "forget")) {
    taskhost_put(&state, old.data, old.length);
    taskhost_put(&state, input.data, input.length);
  }
  const char *why = taskhost_save_checkpoint(state.data, state.length);
  if (why) return taskhost_fail("%s", why);
  old = taskhost_load_checkpoint();
  return taskhost_output(old.data, old.length);
}

TASKHOST_EXPORT(fraction) {
  taskhost_progress(1, 4, "one of four");
  taskhost_progress_fraction(0.5, "half");
  taskhost_progress(5, 3, NULL);
  return taskhost_output_text(taskhost_cancelled() ? "true" : "false");
}

TASKHOST_EXPORT(cancel) {
  taskhost_progress(0, 1, NULL);
  while (!taskhost_cancelled()) {
  }
  return taskhost_fail("tidied up");
}

static volatile int count;

TASKHOST_EXPORT(loop) {
  taskhost_progress(0, 1, NULL);
  for (;;) count = count + 1;
}
