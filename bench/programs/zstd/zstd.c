// zstd: text is compressed at two levels and decompressed.
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "../words.h"

static char text[128 << 10], packed[sizeof text], unpacked[sizeof text];

__attribute__((constructor)) static void generate(void) {
  for (size_t n = 0; n < sizeof text;)
    n += (size_t)snprintf(text + n, sizeof text - n, "%s %s %s %u.\n", word(), word(), word(), number(100000));
}

__attribute__((export_name("run"))) int run(void) {
  static const int levels[] = {3, 7};
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    size_t n = ZSTD_compress(packed, sizeof packed, text, sizeof text, levels[i]);
    if (ZSTD_isError(n) || n > sizeof text / 2) return 1;
    memset(unpacked, 0, sizeof unpacked);
    if (ZSTD_decompress(unpacked, sizeof unpacked, packed, n) != sizeof text) return 2;
    if (memcmp(text, unpacked, sizeof text)) return 3;
  }
  return 0;
}
