// The smallest WASI program that does the same, which knows nothing of taskhost.
#include <stdio.h>

int main(void) {
  for (int c; (c = getchar()) != EOF;) putchar(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return ferror(stdout);
}
