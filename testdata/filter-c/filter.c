// A program that knows nothing of taskhost: it turns the letters of its standard input by 13 places (rot13).
//
// Arguments, with which it can be seen how a host treats them:
//   --upper      makes the letters capital ones too
//   --fail N     writes "failed as asked" to standard error and exits with N, after its output
// A first line "#fail N" in the input does what --fail N does, and a first line "#trap" traps.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rot13(int c) {
  if (c >= 'a' && c <= 'z') return 'a' + (c - 'a' + 13) % 26;
  if (c >= 'A' && c <= 'Z') return 'A' + (c - 'A' + 13) % 26;
  return c;
}

int main(int argc, char **argv) {
  int upper = 0, status = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--upper") == 0) {
      upper = 1;
    } else if (strcmp(argv[i], "--fail") == 0 && i + 1 < argc) {
      status = atoi(argv[++i]);
    } else {
      fprintf(stderr, "usage: filter [--upper] [--fail N]\n");
      return 2;
    }
  }
  char line[4096];
  for (int first = 1; fgets(line, sizeof line, stdin); first = 0) {
    if (first && strncmp(line, "#fail ", 6) == 0) status = atoi(line + 6);
    if (first && strncmp(line, "#trap", 5) == 0) __builtin_trap();
    for (char *p = line; *p; p++) *p = (char)rot13(upper ? toupper((unsigned char)*p) : *p);
    fputs(line, stdout);
  }
  if (ferror(stdin) || fflush(stdout) != 0) {
    perror("filter");
    return 1;
  }
  if (status != 0) fprintf(stderr, "failed as asked\n");
  return status;
}
