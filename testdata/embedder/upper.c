// What the embedder of a plugin would define in Go, as a module: the manifest names it "host", beside the plugin.
#include "../guests/guest.h"

// A text in capital letters, as a new block; the text's own is freed.
EXPORT(to_upper) u64 to_upper(u64 text) {
  u64 n = length(text), out = alloc(n);
  for (u64 i = 0; i < n; i++) {
    u32 c = load_u8(text + i);
    store_u8(out + i, c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  release(text);
  return out;
}
