//! Upper-cases the ASCII letters of UTF-8 text. The same processor stands beside this one in other languages.

const std = @import("std");

extern "extism:host/env" fn alloc(length: u64) u64;
extern "extism:host/env" fn input_offset() u64;
extern "extism:host/env" fn input_length() u64;
extern "extism:host/env" fn output_set(offset: u64, length: u64) void;
extern "extism:host/user" fn taskhost_read(offset: u64, to: [*]u8, length: usize) void;
extern "extism:host/user" fn taskhost_write(offset: u64, from: [*]const u8, length: usize) void;
extern "extism:host/user" fn taskhost_progress(step: u32, total: u32, fraction: f64, message: u64) void;
extern "extism:host/user" fn taskhost_invalid_input(message: u64) void;

/// Bytes between two reports of progress.
const part = 64 << 10;

/// Copies bytes into a block of the host's memory.
fn block(bytes: []const u8) u64 {
    const offset = alloc(bytes.len);
    if (bytes.len > 0) taskhost_write(offset, bytes.ptr, bytes.len); // an empty slice points nowhere
    return offset;
}

fn progress(step: usize, total: usize) void {
    taskhost_progress(step, total, std.math.nan(f64), 0);
}

/// The length of the character that the text begins with; null when it is none.
fn character(text: []const u8) ?usize {
    const length = std.unicode.utf8ByteSequenceLength(text[0]) catch return null;
    if (length > text.len) return null;
    _ = std.unicode.utf8Decode(text[0..length]) catch return null;
    return length;
}

fn upper(text: []u8) ?usize {
    const total = (text.len + part - 1) / part;
    var done: usize = 0;
    var at: usize = 0;
    while (at < text.len) {
        if (at >= done * part) {
            progress(done, total);
            done += 1;
        }
        const length = character(text[at..]) orelse return at;
        text[at] = std.ascii.toUpper(text[at]);
        at += length;
    }
    progress(total, total);
    return null;
}

export fn process() i32 {
    const text = std.heap.wasm_allocator.alloc(u8, @intCast(input_length())) catch return 1;
    if (text.len > 0) taskhost_read(input_offset(), text.ptr, text.len);
    if (upper(text)) |at| {
        var message: [40]u8 = undefined;
        taskhost_invalid_input(block(std.fmt.bufPrint(&message, "invalid UTF-8 at byte {d}", .{at}) catch unreachable));
        return 1;
    }
    output_set(block(text), text.len);
    return 0;
}
