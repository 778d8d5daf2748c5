// Numbers to text and back, for QuickJS: exact in every rounding mode, and without the arithmetic of 128 bits that wasi-libc does it with.
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wasi.h"
#undef snprintf
#undef strtod

static int mode = FE_TONEAREST;

int wasi_fesetround(int m) {
  mode = m;
  return 0;
}

enum { BASE = 1000000000, LIMBS = 90, DIGITS = LIMBS * 9 };

// A decimal number: 0.DIGITS times ten to the power of point.
typedef struct {
  int length, point, negative;
  char digits[DIGITS];
} decimal;

// The last number, exactly: QuickJS asks for the same several times, to find the shortest text that is read as the number.
static decimal last;
static double last_value = NAN;

static int times(uint32_t *limbs, int n, uint32_t factor) {
  uint64_t carry = 0;
  for (int i = 0; i < n; i++) {
    carry += (uint64_t)limbs[i] * factor;
    limbs[i] = (uint32_t)(carry % BASE);
    carry /= BASE;
  }
  for (; carry; carry /= BASE) limbs[n++] = (uint32_t)(carry % BASE);
  return n;
}

static void find(decimal *d, double value) {
  int exponent;
  uint64_t mantissa = (uint64_t)ldexp(frexp(fabs(value), &exponent), 53);
  d->negative = signbit(value) != 0;
  if (!mantissa) {
    d->digits[0] = '0';
    d->length = d->point = 1;
    return;
  }
  for (exponent -= 53; !(mantissa & 1); exponent++) mantissa >>= 1;
  uint32_t limbs[LIMBS] = {(uint32_t)(mantissa % BASE), (uint32_t)(mantissa / BASE % BASE)};
  int n = limbs[1] ? 2 : 1;
  // What is divided by a power of two is multiplied by one of five, and the point moves.
  for (int left = exponent; left > 0; left -= 29) n = times(limbs, n, 1u << (left < 29 ? left : 29));
  for (int left = -exponent; left > 0; left -= 13) {
    uint32_t five = 1;
    for (int i = left < 13 ? left : 13; i > 0; i--) five *= 5;
    n = times(limbs, n, five);
  }
  char *at = d->digits;
  for (int i = n - 1; i >= 0; i--) {
    uint32_t limb = limbs[i];
    for (int j = 8; j >= 0; j--, limb /= 10) at[j] = (char)('0' + limb % 10);
    at += 9;
  }
  int zeros = 0;
  while (d->digits[zeros] == '0') zeros++;
  d->length = n * 9 - zeros;
  memmove(d->digits, d->digits + zeros, (size_t)d->length);
  d->point = d->length + (exponent < 0 ? exponent : 0);
}

static void exact(decimal *d, double value) {
  if (value != last_value || (signbit(value) != 0) != last.negative) {
    find(&last, value);
    last_value = value;
  }
  memcpy(d, &last, offsetof(decimal, digits) + (size_t)last.length);
}

// Leaves the first n digits, rounded; n may be negative, and there may be fewer.
static void keep(decimal *d, int n) {
  if (n >= d->length) return;
  int up = mode == (d->negative ? FE_DOWNWARD : FE_UPWARD); // what follows is not zero: there is none at the end but of a whole number
  if (mode == FE_TONEAREST && n >= 0) {
    int rest = d->digits[n] != '5' ? d->digits[n] - '5' : 0;
    for (int i = n + 1; !rest && i < d->length; i++) rest = d->digits[i] != '0';
    up = rest > 0 || (rest == 0 && n > 0 && (d->digits[n - 1] & 1));
  }
  d->length = n > 0 ? n : 0;
  if (!up) return;
  int i = d->length - 1;
  while (i >= 0 && d->digits[i] == '9') d->digits[i--] = '0';
  if (i >= 0) {
    d->digits[i]++;
    return;
  }
  if (d->length == 0) { // 0.06 to one place is 0.1
    d->length = 1;
    d->point -= n - 1;
  } else {
    d->point++;
  }
  d->digits[0] = '1';
}

// A whole number as text, and its length.
static int whole(char *to, int64_t value) {
  char digits[20];
  int n = 0, length = 0;
  if (value < 0) to[length++] = '-';
  for (uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value; left || !n; left /= 10) digits[n++] = (char)('0' + left % 10);
  while (n) to[length++] = digits[--n];
  to[length] = 0;
  return length;
}

static char digit(const decimal *d, int i) { return i >= 0 && i < d->length ? d->digits[i] : '0'; }

// printf's %+.*e: places digits behind the first.
static int scientific(char *to, decimal *d, int places) {
  char *at = to;
  int zero = d->digits[0] == '0';
  keep(d, places + 1);
  *at++ = d->negative ? '-' : '+';
  *at++ = digit(d, 0);
  if (places > 0) *at++ = '.';
  for (int i = 1; i <= places; i++) *at++ = digit(d, i);
  int exponent = zero ? 0 : d->point - 1;
  *at++ = 'e';
  *at++ = exponent < 0 ? '-' : '+';
  if (exponent < 0) exponent = -exponent;
  if (exponent < 10) *at++ = '0';
  return (int)(at - to) + whole(at, exponent);
}

// printf's %.*f.
static int fixed(char *to, decimal *d, int places) {
  char *at = to;
  keep(d, d->point + places);
  if (d->negative) *at++ = '-';
  if (d->point <= 0) *at++ = '0';
  for (int i = 0; i < d->point; i++) *at++ = digit(d, i);
  if (places > 0) *at++ = '.';
  for (int i = 0; i < places; i++) *at++ = digit(d, d->point + i);
  *at = 0;
  return (int)(at - to);
}

// snprintf, where QuickJS formats a number with its own buffers, which are large enough.
int wasi_snprintf(char *to, size_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (!strcmp(format, "%d") || !strcmp(format, "%u")) { // what every number becomes that is made text
    int64_t value = format[1] == 'd' ? va_arg(args, int) : va_arg(args, unsigned);
    va_end(args);
    return whole(to, value);
  }
  int n, e = !strcmp(format, "%+.*e");
  if (e || !strcmp(format, "%.*f")) {
    decimal d;
    int places = va_arg(args, int);
    exact(&d, va_arg(args, double));
    n = e ? scientific(to, &d, places) : fixed(to, &d, places);
  } else {
    n = vsnprintf(to, size, format, args);
  }
  va_end(args);
  return n;
}

// strtod, at once where both the digits and the power of ten are exact in a double: then so is the one operation, rounded.
double wasi_strtod(const char *text, char **end) {
  static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char *at = text;
  uint64_t whole = 0;
  int digits = 0, places = 0, point = 0, negative = *at == '-';
  if (*at == '-' || *at == '+') at++;
  for (;; at++) {
    if (*at >= '0' && *at <= '9') {
      whole = whole * 10 + (uint64_t)(*at - '0');
      digits += digits || *at != '0';
      places += point;
    } else if (*at == '.' && !point) {
      point = 1;
    } else {
      break;
    }
    if (digits > 15) return strtod(text, end);
  }
  if (at == text + (*text == '-' || *text == '+') + point || (*at | 32) == 'x') return strtod(text, end); // no digits, or hexadecimal
  int power = 0;
  if ((*at | 32) == 'e') {
    const char *e = at + 1;
    int minus = *e == '-';
    if (*e == '-' || *e == '+') e++;
    if (*e < '0' || *e > '9') return strtod(text, end);
    for (; *e >= '0' && *e <= '9'; e++) {
      if (power > 999) return strtod(text, end);
      power = power * 10 + (*e - '0');
    }
    if (minus) power = -power;
    at = e;
  }
  power -= places;
  if (power < -22 || power > 22) return strtod(text, end);
  if (end) *end = (char *)at;
  double value = power < 0 ? (double)whole / tens[-power] : (double)whole * tens[power];
  return negative ? -value : value;
}
