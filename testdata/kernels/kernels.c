// Compute kernels for the benchmarks: what rewriting costs shows in loops and calls. Each export does a fixed amount of work,
// some ten milliseconds of it, keeps its result in memory, and returns 0. They import nothing.
//
//   sieve   primes: short loops over bytes           matrix  products: floating point in three loops
//   fib     recursion without loops                  hash    integer arithmetic in long loop bodies
//   sort    quicksort: recursion and loops           vowels  a branch for each byte
//   tree    a binary tree: pointers and recursion    sum     the smallest loop there is
typedef unsigned char u8;
typedef unsigned int u32;

#define EXPORT(name) __attribute__((export_name(#name))) int name(void)

static volatile u32 result;
static u8 bytes[1 << 20];

static u32 next(u32 *seed) { return *seed = *seed * 1664525u + 1013904223u; }

EXPORT(sieve) {
  u32 count = 0;
  for (u32 i = 0; i < sizeof bytes; i++) bytes[i] = 1;
  for (u32 i = 2; i < sizeof bytes; i++) {
    if (!bytes[i]) continue;
    count++;
    for (u32 k = 2 * i; k < sizeof bytes; k += i) bytes[k] = 0;
  }
  result = count;
  return 0;
}

#define N 128
static double a[N][N], b[N][N], c[N][N];

EXPORT(matrix) {
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) a[i][k] = i + k, b[i][k] = i - k;
  for (int turn = 0; turn < 4; turn++)
    for (int i = 0; i < N; i++)
      for (int k = 0; k < N; k++) {
        double s = 0;
        for (int j = 0; j < N; j++) s += a[i][j] * b[j][k];
        c[i][k] = s + turn;
      }
  result = (u32)(int)c[5][9];
  return 0;
}

static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

EXPORT(fib) {
  result = fibonacci(29);
  return 0;
}

static u32 turn_left(u32 x, int n) { return x << n | x >> (32 - n); }

EXPORT(hash) {
  u32 h = 0x12345678, w[64];
  for (u32 block = 0; block < 20000; block++) {
    for (u32 i = 0; i < 16; i++) w[i] = block * i ^ h;
    for (u32 i = 16; i < 64; i++) {
      u32 x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + (turn_left(x, 25) ^ turn_left(x, 14) ^ x >> 3) + w[i - 7] + (turn_left(y, 15) ^ turn_left(y, 13) ^ y >> 10);
    }
    for (u32 i = 0; i < 64; i++) h = turn_left(h, 5) + w[i] + 0x428a2f98u * (i | 1);
  }
  result = h;
  return 0;
}

static int numbers[200000];

static void quicksort(int *v, int n) {
  while (n > 12) {
    int pivot = v[n / 2], i = 0, k = n - 1;
    for (;;) {
      while (v[i] < pivot) i++;
      while (v[k] > pivot) k--;
      if (i >= k) break;
      int t = v[i];
      v[i++] = v[k], v[k--] = t;
    }
    quicksort(v, i);
    v += i, n -= i;
  }
  for (int i = 1; i < n; i++) {
    int x = v[i], k = i;
    for (; k > 0 && v[k - 1] > x; k--) v[k] = v[k - 1];
    v[k] = x;
  }
}

EXPORT(sort) {
  u32 seed = 1;
  for (int i = 0; i < 200000; i++) numbers[i] = (int)(next(&seed) >> 8);
  quicksort(numbers, 200000);
  result = (u32)numbers[100000];
  return 0;
}

EXPORT(vowels) {
  u32 count = 0;
  for (u32 i = 0; i < sizeof bytes; i++) bytes[i] = (u8)(i * 7 + (i >> 8));
  for (int turn = 0; turn < 6; turn++)
    for (u32 i = 0; i < sizeof bytes; i++) {
      switch (bytes[i] | 0x20) {
        case 'a': case 'e': case 'i': case 'o': case 'u': count++;
      }
      bytes[i]++;
    }
  result = count;
  return 0;
}

struct node { struct node *left, *right; u32 key; };
static struct node nodes[40000];

static struct node *insert(struct node *t, struct node *n) {
  if (!t) return n;
  if (n->key < t->key) t->left = insert(t->left, n);
  else t->right = insert(t->right, n);
  return t;
}

static u32 add_up(const struct node *t) { return t ? t->key + add_up(t->left) + add_up(t->right) : 0; }

EXPORT(tree) {
  struct node *root = 0;
  u32 seed = 7;
  for (u32 i = 0; i < 40000; i++) {
    nodes[i] = (struct node){0, 0, next(&seed) >> 6};
    root = insert(root, &nodes[i]);
  }
  result = add_up(root);
  return 0;
}

EXPORT(sum) {
  volatile u32 s = 0;
  for (u32 i = 0; i < 5000000; i++) s ^= i;
  result = s;
  return 0;
}
