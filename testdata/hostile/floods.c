// Calls of the host as often as it goes, one export each.
//
//   config   asks for the key "k", whose value is a new block each time.
//   vars     sets a new var each time.
//   values   one value after the other for the same metric.
//   names    a new metric each time; labels: a new set of labels each time. The host refuses most of them, with a message.
//   errors   sets an error message each time.
//   http     asks for a host that it may not reach.
//   headers  one request whose headers are 4 MiB of JSON.
//   output   sets an output of 4 GiB.
//   fine     succeeds.
#include "guest.h"

EXPORT(config) i32 config(void) {
  u64 key = text("k");
  for (;;) config_get(key);
}

EXPORT(vars) i32 vars(void) {
  char digits[21];
  for (u64 n = 0;; n++) var_set(text(decimal(n, digits)), text("value"));
}

EXPORT(values) i32 values(void) {
  u64 name = text("flood");
  for (;;) taskhost_metric_add(name, 1, 0);
}

EXPORT(names) i32 names(void) {
  for (u64 n = 0;; n++) {
    char name[32] = "n_", digits[21];
    const char *d = decimal(n, digits);
    for (u32 k = 0; d[k]; k++) name[2 + k] = d[k];
    u64 block = text(name);
    release(taskhost_metric_add(block, 1, 0));
    release(block);
  }
}

EXPORT(labels) i32 labels(void) {
  u64 name = text("flood_by");
  for (u64 n = 0;; n++) {
    char json[48] = "{\"v\":\"", digits[21];
    const char *d = decimal(n, digits);
    u32 k = 6;
    while (*d) json[k++] = *d++;
    json[k++] = '"';
    json[k] = '}';
    u64 block = text(json);
    release(taskhost_metric_add(name, 1, block));
    release(block);
  }
}

EXPORT(errors) i32 errors(void) {
  u64 message = text("a message");
  for (;;) error_set(message);
}

EXPORT(http) i32 http(void) {
  http_request(text("{\"url\":\"http://example.com/\"}"), 0);
  return 0;
}

EXPORT(headers) i32 headers(void) {
  static const char begin[] = "{\"headers\":{";
  u64 size = 4 << 20, request = alloc(size);
  for (u32 i = 0; i < sizeof begin - 1; i++) store_u8(request + i, begin[i]);
  for (u64 i = sizeof begin - 1; i + 16 <= size; i += 16) {
    char item[] = "\"aaaaaaaaa\":\"\", ", digits[21];
    const char *d = decimal(i, digits);
    for (u32 k = 0; d[k]; k++) item[1 + k] = d[k];
    taskhost_write(request + i, item, 16);
  }
  http_request(request, 0);
  return 0;
}

EXPORT(output) i32 output_huge(void) {
  output_set(text("short"), 1ull << 32);
  return 0;
}

EXPORT(fine) i32 fine(void) { return 0; }
