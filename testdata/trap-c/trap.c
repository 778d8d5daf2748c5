// Traps in places that a test knows: see host/stack_test.go, which looks for the marks in this file.
#include "guest.h"

static volatile int zero;

__attribute__((noinline)) static int divide(int n) {
  return n / zero; // mark: divide
}

static inline __attribute__((always_inline)) int inner(int n) {
  return divide(n) + 1; // mark: inner
}

static inline __attribute__((always_inline)) int outer(int n) {
  return inner(n) * 2; // mark: outer
}

EXPORT(division) i32 division(void) {
  return outer((int)input_length()); // mark: division
}

__attribute__((noinline)) static int deeper(volatile int *n) {
  if (*n > 1 << 30) return 1;
  int next = *n + 1;
  return deeper(&next) + *n; // mark: deeper
}

EXPORT(recursion) i32 recursion(void) {
  volatile int n = 0;
  return deeper(&n); // mark: recursion
}

__attribute__((noinline)) static int odd(volatile int *n);

__attribute__((noinline)) static int even(volatile int *n) {
  int next = *n + 1;
  return odd(&next) + *n; // mark: even
}

__attribute__((noinline)) static int odd(volatile int *n) {
  if (*n == 1001) __builtin_trap(); // mark: odd
  int next = *n + 1;
  return even(&next) + *n;
}

EXPORT(turns) i32 turns(void) {
  volatile int n = 0;
  return even(&n); // mark: turns
}

static int takes_two(int a, int b) { return a + b; }
static int (*volatile unknown)() = (int (*)())takes_two;

EXPORT(mismatch) i32 mismatch(void) {
  return ((int (*)(double))unknown)(1.0); // mark: mismatch
}

// Each of these loops is written anew by the pass.
EXPORT(loops) i32 loops(void) {
  u32 n = (u32)input_length(), sum = 0;
  for (u32 i = 0; i < 100000; i++)
    for (u32 j = 0; j < n; j++) {
      sum += scratch[(i * 7 + j) & 1023];
      if (i == 99999) sum += (u32)divide((int)sum); // mark: loops
    }
  return (i32)sum;
}

EXPORT(forever) i32 forever(void) {
  for (;;) zero++; // mark: forever
}

EXPORT(outside) i32 outside(void) {
  return (i32)load_u8(1ull << 40); // mark: outside
}
