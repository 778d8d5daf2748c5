// Metrics.
//
//   process  input: lines "add|set|observe NAME VALUE [LABELS]", VALUE a decimal number, nan, inf or -inf, LABELS a JSON object;
//            outputs one line for each: "ok" or the host's message.
//   names    input: a number; adds 1 to so many counters n_1, n_2 ...; outputs how many were accepted.
//   series   input: a number; adds 1 to the counter series with so many values of the label v; outputs how many were accepted.
#include "guest.h"

static int word(const char **p, const char **w) {
  while (**p == ' ') ++*p;
  *w = *p;
  while (**p && **p != ' ' && **p != '\n') ++*p;
  return (int)(*p - *w);
}

static int is(const char *w, int n, const char *s) {
  int i = 0;
  while (i < n && s[i] && w[i] == s[i]) i++;
  return i == n && !s[i];
}

static double real(const char *w, int n) {
  if (is(w, n, "nan")) return __builtin_nan("");
  if (is(w, n, "inf")) return __builtin_inf();
  if (is(w, n, "-inf")) return -__builtin_inf();
  double v = 0, unit = 1, sign = 1;
  int i = 0, fraction = 0;
  if (n && w[0] == '-') sign = -1, i++;
  for (; i < n; i++) {
    if (w[i] == '.') { fraction = 1; continue; }
    v = v * 10 + (w[i] - '0');
    if (fraction) unit *= 10;
  }
  return sign * v / unit;
}

static u8 answer[64 << 10];
static u32 used;

static void put(const void *p, u32 n) {
  if (n > sizeof answer - used) n = sizeof answer - used;
  __builtin_memcpy(answer + used, p, n);
  used += n;
}

EXPORT(process) i32 process(void) {
  u32 n = input();
  used = 0;
  const char *p = (const char *)scratch, *end = p + n;
  while (p < end) {
    const char *kind, *name, *value, *labels;
    int nkind = word(&p, &kind), nname = word(&p, &name), nvalue = word(&p, &value);
    while (*p == ' ') p++;
    labels = p;
    while (p < end && *p != '\n') p++;
    u64 l = labels < p ? block(labels, (u32)(p - labels)) : 0;
    u64 m = block(name, (u32)nname), message;
    double v = real(value, nvalue);
    if (is(kind, nkind, "add")) message = taskhost_metric_add(m, v, l);
    else if (is(kind, nkind, "set")) message = taskhost_metric_set(m, v, l);
    else if (is(kind, nkind, "observe")) message = taskhost_metric_observe(m, v, l);
    else return fail("each line begins with add, set or observe");
    if (message) {
      static u8 why[1024];
      u64 k = length(message);
      if (k > sizeof why) k = sizeof why;
      taskhost_read(message, why, (u32)k);
      put(why, (u32)k);
    } else {
      put("ok", 2);
    }
    put("\n", 1);
    if (p < end) p++;
  }
  return output(answer, used);
}

EXPORT(names) i32 names(void) {
  u64 n = input_number(), accepted = 0;
  for (u64 i = 1; i <= n; i++) {
    char name[32] = "n_", digits[21];
    const char *d = decimal(i, digits);
    for (u32 k = 0; d[k]; k++) name[2 + k] = d[k];
    u64 offset = text(name);
    accepted += taskhost_metric_add(offset, 1, 0) == 0;
    release(offset);
  }
  return output_number(accepted);
}

EXPORT(series) i32 series(void) {
  u64 n = input_number(), accepted = 0, name = text("series");
  for (u64 i = 1; i <= n; i++) {
    char labels[48] = "{\"v\":\"", digits[21];
    const char *d = decimal(i, digits);
    u32 k = 6;
    while (*d) labels[k++] = *d++;
    labels[k++] = '"';
    labels[k] = '}';
    u64 offset = text(labels);
    accepted += taskhost_metric_add(name, 1, offset) == 0;
    release(offset);
  }
  return output_number(accepted);
}
