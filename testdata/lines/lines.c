// An interpreter of a language of lines, NAME = OPERATION, for the tests of the host. An operation works on the input:
//
//   upper      capital letters
//   script     the script's file and how many lines it has
//   config KEY what the script's config says
//   count      how often a function of the script was called before, as far as its memory tells
//   fail       an error, with the place in the script
//   bad        an error that says that the input is bad
//   trap, spin do not return
//
// What begins with # is passed over. A line that is only "trap" or "spin" does that while the script is loaded, "random" draws a number then,
// and "double" lists a function twice.
#include "guest.h"

#define MAX 64

static struct { const char *name, *op, *argument; u32 line; } functions[MAX];
static u32 count, lines, calls;
static char source[16 << 10], file[300];

__attribute__((import_module("wasi_snapshot_preview1"), import_name("random_get"))) extern i32 random_get(void *to, u32 length);

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static int spin(void) {
  for (volatile u32 n = 0;; n++) {}
}

// place is an error as interpreters report it: what, and in the next line where.
static i32 place(const char *what, u32 line) {
  static char message[600];
  char digits[21], *p = message;
  const char *parts[] = {what, "\n", file, ":", decimal(line, digits)};
  for (u32 k = 0; k < sizeof parts / sizeof *parts; k++)
    for (const char *s = parts[k]; *s && p < message + sizeof message - 1; s++) *p++ = *s;
  *p = 0;
  return fail(message);
}

EXPORT(taskhost_script_load) i32 load(u32 name_length) {
  u64 n = input_length() - name_length;
  if (name_length >= sizeof file || n >= sizeof source) return fail("the script is too long");
  taskhost_read(input_offset(), file, name_length);
  if (n) taskhost_read(input_offset() + name_length, source, (u32)n);
  char *p = source, *end = source + n;
  while (p < end) {
    char *line = p, *equals = 0, *argument = 0;
    for (; p < end && *p != '\n'; p++) {
      if (*p == '=' && !equals && p > line && p[-1] == ' ') equals = p;
      if (*p == ' ' && equals && p > equals + 1 && !argument) argument = p;
    }
    *p++ = 0;
    lines++;
    if (!*line || *line == '#') continue;
    if (same(line, "trap")) __builtin_trap();
    if (same(line, "spin")) spin();
    if (same(line, "random")) {
      random_get(scratch, 16);
      continue;
    }
    if (same(line, "double")) return output("one\none\n", 8);
    if (!equals) return place("this is no line", lines);
    if (count == MAX) return place("there are too many functions", lines);
    equals[-1] = 0;
    if (argument) *argument++ = 0;
    functions[count].name = line;
    functions[count].op = equals + 2;
    functions[count].argument = argument ? argument : "";
    functions[count++].line = lines;
  }
  u32 length = 0;
  for (u32 k = 0; k < count; k++) {
    for (const char *s = functions[k].name; *s; s++) scratch[length++] = (u8)*s;
    scratch[length++] = '\n';
  }
  return output(scratch, length);
}

EXPORT(taskhost_script_call) i32 call(u32 number) {
  if (number >= count) return fail("there is no such function");
  const char *op = functions[number].op;
  calls++;
  if (same(op, "upper")) {
    u32 n = input();
    for (u32 k = 0; k < n; k++)
      if (scratch[k] >= 'a' && scratch[k] <= 'z') scratch[k] -= 32;
    return output(scratch, n);
  }
  if (same(op, "script")) {
    char digits[21], text[330], *p = text;
    const char *parts[] = {file, " ", decimal(lines, digits)};
    for (u32 k = 0; k < 3; k++)
      for (const char *s = parts[k]; *s; s++) *p++ = *s;
    return output(text, (u32)(p - text));
  }
  if (same(op, "config")) {
    u64 value = config_get(text(functions[number].argument));
    if (!value) return place("the config has no such key", functions[number].line);
    output_set(value, length(value));
    return 0;
  }
  if (same(op, "count")) return output_number(calls - 1);
  if (same(op, "fail")) return place("it fails", functions[number].line);
  if (same(op, "bad")) {
    taskhost_invalid_input(text("it is bad"));
    return 1;
  }
  if (same(op, "trap")) __builtin_trap();
  if (same(op, "spin")) spin();
  return place("there is no such operation", functions[number].line);
}
