// A WASI command that does what its standard input says, a line each, so that it can be seen what a host grants:
//
//   args               its arguments, a line each          env                its environment, a line each
//   read PATH          the contents of a file              list PATH          the names in a folder
//   write PATH TEXT    makes a file                        mkdir PATH         makes a folder
//   remove PATH        removes a file                      rename PATH PATH   renames one
//   link PATH PATH     makes a symbolic link: what it points to, where it is
//   time               whether the clock goes              random             whether there is randomness
//
// What a line gives is written to standard output; an error is "error: " and its reason. Standard error has one line for each of them.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void result(int failed) {
  if (failed) printf("error: %s\n", strerror(errno));
  else printf("ok\n");
}

static void read_file(const char *path) {
  FILE *f = fopen(path, "r");
  if (!f) { result(1); return; }
  char buffer[4096];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, f)) > 0) fwrite(buffer, 1, n, stdout);
  if (ferror(f)) result(1);
  fclose(f);
}

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (!f) { result(1); return; }
  int failed = fputs(text, f) < 0;
  failed |= fclose(f) != 0;
  result(failed);
}

static void list(const char *path) {
  DIR *d = opendir(path);
  if (!d) { result(1); return; }
  for (struct dirent *e; (e = readdir(d));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) printf("%s\n", e->d_name);
  closedir(d);
}

static void run(char *line, int argc, char **argv) {
  char *command = strtok(line, " "), *path = strtok(NULL, " "), *rest = strtok(NULL, "");
  if (!command) return;
  if (!strcmp(command, "args")) {
    for (int i = 0; i < argc; i++) printf("%s\n", argv[i]);
  } else if (!strcmp(command, "env")) {
    for (char **e = environ; e && *e; e++) printf("%s\n", *e);
  } else if (!strcmp(command, "time")) {
    printf(time(NULL) > 1600000000 ? "ok\n" : "error: the clock does not go\n");
  } else if (!strcmp(command, "random")) {
    unsigned char a[16], b[16];
    if (getentropy(a, sizeof a) || getentropy(b, sizeof b)) result(1);
    else printf(memcmp(a, b, sizeof a) ? "ok\n" : "error: twice the same\n");
  } else if (!path) {
    printf("error: no path\n");
  } else if (!strcmp(command, "read")) {
    read_file(path);
  } else if (!strcmp(command, "list")) {
    list(path);
  } else if (!strcmp(command, "remove")) {
    result(unlink(path));
  } else if (!strcmp(command, "mkdir")) {
    result(mkdir(path, 0777));
  } else if (!rest) {
    printf("error: no second argument\n");
  } else if (!strcmp(command, "write")) {
    write_file(path, rest);
  } else if (!strcmp(command, "rename")) {
    result(rename(path, rest));
  } else if (!strcmp(command, "link")) {
    result(symlink(path, rest));
  } else {
    printf("error: no such command\n");
  }
}

int main(int argc, char **argv) {
  char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    fprintf(stderr, "%s\n", line);
    run(line, argc, argv);
  }
  return fflush(stdout) != 0;
}
