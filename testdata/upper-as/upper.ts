// Upper-cases the ASCII letters of UTF-8 text. The same processor stands beside this one in other languages.

@external("extism:host/env", "alloc") declare function alloc(length: u64): u64;
@external("extism:host/env", "input_offset") declare function inputOffset(): u64;
@external("extism:host/env", "input_length") declare function inputLength(): u64;
@external("extism:host/env", "output_set") declare function outputSet(offset: u64, length: u64): void;
@external("extism:host/user", "taskhost_read") declare function read(offset: u64, to: usize, length: u32): void;
@external("extism:host/user", "taskhost_write") declare function write(offset: u64, from: usize, length: u32): void;
@external("extism:host/user", "taskhost_progress")
declare function taskhostProgress(step: i32, total: i32, fraction: f64, message: u64): void;
@external("extism:host/user", "taskhost_invalid_input") declare function invalidInput(message: u64): void;

// Bytes between two reports of progress.
const PART: i32 = 64 << 10;

// Copies bytes into a block of the host's memory.
function block(from: usize, length: i32): u64 {
  const offset = alloc(length);
  write(offset, from, length);
  return offset;
}

function text(s: string): u64 {
  const bytes = String.UTF8.encode(s);
  return block(changetype<usize>(bytes), bytes.byteLength);
}

function progress(step: i32, total: i32): void {
  taskhostProgress(step, total, NaN, 0);
}

// Length of the character at i, or 0 when it is none.
function utf8(p: Uint8Array, i: i32): i32 {
  const c = p[i];
  if (c < 0x80) return 1;
  const length = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  if (length == 0 || i + length > p.length) return 0;
  const second = p[i + 1];
  const low: u8 = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  const high: u8 = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let k = 2; k < length; k++) {
    if ((p[i + k] & 0xc0) != 0x80) return 0;
  }
  return length;
}

export function process(): i32 {
  const n = inputLength() as i32;
  const p = new Uint8Array(n);
  read(inputOffset(), p.dataStart, n);

  const total = (n + PART - 1) / PART;
  let done = 0;
  for (let i = 0; i < n; ) {
    if (i >= done * PART) progress(done++, total);
    const length = utf8(p, i);
    if (length == 0) {
      invalidInput(text("invalid UTF-8 at byte " + i.toString()));
      return 1;
    }
    if (p[i] >= 0x61 && p[i] <= 0x7a) p[i] = p[i] - 0x20;
    i += length;
  }
  progress(total, total);
  outputSet(block(p.dataStart, n), n);
  return 0;
}
