// What QuickJS wants of a C library and wasi-libc does not have. It goes before each of QuickJS's files, which are compiled as they are.
#ifndef WASI_H
#define WASI_H

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>

// QuickJS rounds numbers by the mode of the processor, which Wasm does not have.
#define FE_DOWNWARD 1
#define FE_UPWARD 2
int wasi_fesetround(int mode);
int wasi_snprintf(char *to, size_t size, const char *format, ...);
double wasi_strtod(const char *text, char **end);
#define fesetround wasi_fesetround
#define snprintf wasi_snprintf
#define strtod wasi_strtod

// It is in wasi-libc, and in none of its headers.
size_t malloc_usable_size(void *block);

#endif
