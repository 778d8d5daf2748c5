// What the embedder of a plugin would define in Go, as a module: the manifest names it "extism:host/user", beside the plugin.
#include "../guests/guest.h"

EXPORT(mult) u64 mult(u64 a, u64 b) { return a * b; }

// message is a new block with a mark (four bytes of UTF-8), a colon and the text.
static u64 message(const char *mark, u64 text) {
  u64 n = length(text), out = alloc(n + 5);
  for (u32 i = 0; i < 4; i++) store_u8(out + i, (u8)mark[i]);
  store_u8(out + 4, ':');
  for (u64 i = 0; i < n; i++) store_u8(out + 5 + i, load_u8(text + i));
  return out;
}

EXPORT(hostGreenMessage) u64 green(u64 text) { return message("🟢", text); }
EXPORT(hostPurpleMessage) u64 purple(u64 text) { return message("🟣", text); }
