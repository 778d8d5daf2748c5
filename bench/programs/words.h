// Numbers and text that are the same in every run, for the C programs.
#ifndef WORDS_H
#define WORDS_H

static unsigned seed;

// number returns one from 0 to n-1.
static unsigned number(unsigned n) {
  seed = seed * 1664525u + 1013904223u;
  return (unsigned)((unsigned long long)seed * n >> 32);
}

static const char *word(void) {
  static const char *const words[] = {"a",     "sandbox", "task",  "that", "runs",   "in",  "time",  "and", "ends",   "with", "its",
                                      "result", "is",     "one",   "you",  "can",    "watch", "or",  "cancel", "while", "memory", "stays"};
  return words[number(sizeof words / sizeof *words)];
}

#endif
