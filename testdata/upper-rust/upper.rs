//! Upper-cases the ASCII letters of UTF-8 text. The same processor stands beside this one in other languages.

/// The host's functions.
mod host {
    #[link(wasm_import_module = "extism:host/env")]
    extern "C" {
        pub fn alloc(length: u64) -> u64;
        pub fn input_offset() -> u64;
        pub fn input_length() -> u64;
        pub fn output_set(offset: u64, length: u64);
    }
    #[link(wasm_import_module = "extism:host/user")]
    extern "C" {
        pub fn taskhost_read(offset: u64, to: *mut u8, length: usize);
        pub fn taskhost_write(offset: u64, from: *const u8, length: usize);
        pub fn taskhost_progress(step: i32, total: i32, fraction: f64, message: u64);
        pub fn taskhost_invalid_input(message: u64);
    }
}

/// Bytes between two reports of progress.
const PART: usize = 64 << 10;

fn input() -> Vec<u8> {
    unsafe {
        let mut bytes = vec![0; host::input_length() as usize];
        host::taskhost_read(host::input_offset(), bytes.as_mut_ptr(), bytes.len());
        bytes
    }
}

/// Copies bytes into a block of the host's memory.
fn block(bytes: &[u8]) -> u64 {
    unsafe {
        let offset = host::alloc(bytes.len() as u64);
        host::taskhost_write(offset, bytes.as_ptr(), bytes.len());
        offset
    }
}

fn progress(step: usize, total: usize) {
    unsafe { host::taskhost_progress(step as i32, total as i32, f64::NAN, 0) }
}

fn upper(text: &mut [u8]) -> Result<(), String> {
    let total = (text.len() + PART - 1) / PART;
    let (mut at, mut done) = (0, 0);
    while at < text.len() {
        progress(done, total);
        done += 1;
        let mut end = text.len().min(done * PART);
        // A character that goes over the end belongs to this part.
        while end < text.len() && text[end] & 0xc0 == 0x80 && end < done * PART + 3 {
            end += 1;
        }
        if let Err(e) = std::str::from_utf8(&text[at..end]) {
            return Err(format!("invalid UTF-8 at byte {}", at + e.valid_up_to()));
        }
        text[at..end].make_ascii_uppercase();
        at = end;
    }
    progress(total, total);
    Ok(())
}

#[no_mangle]
pub extern "C" fn process() -> i32 {
    let mut text = input();
    match upper(&mut text) {
        Ok(()) => {
            unsafe { host::output_set(block(&text), text.len() as u64) };
            0
        }
        Err(message) => {
            unsafe { host::taskhost_invalid_input(block(message.as_bytes())) };
            1
        }
    }
}
