//! The host's functions, and blocks of its memory.

#[cfg(target_arch = "wasm32")]
pub mod imports {
    #[link(wasm_import_module = "extism:host/env")]
    extern "C" {
        pub fn alloc(length: u64) -> u64;
        pub fn free(offset: u64);
        pub fn length(offset: u64) -> u64;
        pub fn input_offset() -> u64;
        pub fn input_length() -> u64;
        pub fn output_set(offset: u64, length: u64);
        pub fn error_set(offset: u64);
        pub fn config_get(key: u64) -> u64;
        pub fn var_get(key: u64) -> u64;
        pub fn var_set(key: u64, value: u64);
        pub fn http_request(meta: u64, body: u64) -> u64;
        pub fn http_status_code() -> i32;
        pub fn http_headers() -> u64;
        pub fn log_trace(message: u64);
        pub fn log_debug(message: u64);
        pub fn log_info(message: u64);
        pub fn log_warn(message: u64);
        pub fn log_error(message: u64);
        pub fn get_log_level() -> i32;
    }
    #[link(wasm_import_module = "extism:host/user")]
    extern "C" {
        pub fn taskhost_progress(step: i32, total: i32, fraction: f64, message: u64);
        pub fn taskhost_cancelled() -> i32;
        pub fn taskhost_metric_add(name: u64, value: f64, labels: u64) -> u64;
        pub fn taskhost_metric_set(name: u64, value: f64, labels: u64) -> u64;
        pub fn taskhost_metric_observe(name: u64, value: f64, labels: u64) -> u64;
        pub fn taskhost_invalid_input(message: u64);
        pub fn taskhost_checkpoint_save(state: u64) -> u64;
        pub fn taskhost_checkpoint_load() -> u64;
        pub fn taskhost_read(offset: u64, to: *mut u8, length: usize);
        pub fn taskhost_write(offset: u64, from: *const u8, length: usize);
    }
}

/// The same where there is no host: nothing is found, nothing is kept.
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::missing_safety_doc)]
pub mod imports {
    macro_rules! nothing {
        ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty = $value:expr)?;)*) => {
            $(pub unsafe fn $name($(_: $type),*) $(-> $result)? { $($value)? })*
        };
    }
    nothing! {
        alloc(length: u64) -> u64 = 0;
        free(offset: u64);
        length(offset: u64) -> u64 = 0;
        input_offset() -> u64 = 0;
        input_length() -> u64 = 0;
        output_set(offset: u64, length: u64);
        error_set(offset: u64);
        config_get(key: u64) -> u64 = 0;
        var_get(key: u64) -> u64 = 0;
        var_set(key: u64, value: u64);
        http_request(meta: u64, body: u64) -> u64 = 0;
        http_status_code() -> i32 = 0;
        http_headers() -> u64 = 0;
        log_trace(message: u64);
        log_debug(message: u64);
        log_info(message: u64);
        log_warn(message: u64);
        log_error(message: u64);
        get_log_level() -> i32 = 0;
        taskhost_progress(step: i32, total: i32, fraction: f64, message: u64);
        taskhost_cancelled() -> i32 = 0;
        taskhost_metric_add(name: u64, value: f64, labels: u64) -> u64 = 0;
        taskhost_metric_set(name: u64, value: f64, labels: u64) -> u64 = 0;
        taskhost_metric_observe(name: u64, value: f64, labels: u64) -> u64 = 0;
        taskhost_invalid_input(message: u64);
        taskhost_checkpoint_save(state: u64) -> u64 = 0;
        taskhost_checkpoint_load() -> u64 = 0;
        taskhost_read(offset: u64, to: *mut u8, length: usize);
        taskhost_write(offset: u64, from: *const u8, length: usize);
    }
}

/// Copies bytes into a new block.
pub fn store(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    // The host checks both ranges, and only reads from ours.
    unsafe {
        let offset = imports::alloc(bytes.len() as u64);
        imports::taskhost_write(offset, bytes.as_ptr(), bytes.len());
        offset
    }
}

/// Copies bytes of a block.
pub fn load(offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    if length > 0 {
        // The host writes into bytes alone.
        unsafe { imports::taskhost_read(offset, bytes.as_mut_ptr(), bytes.len()) };
    }
    bytes
}

/// Copies a block and frees it; None for offset 0.
pub fn take(offset: u64) -> Option<Vec<u8>> {
    if offset == 0 {
        return None;
    }
    let bytes = load(offset, unsafe { imports::length(offset) });
    release(offset);
    Some(bytes)
}

/// Copies a block of text and frees it.
pub fn take_text(offset: u64) -> Option<String> {
    take(offset).map(|bytes| String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Frees a block, if it is one.
pub fn release(offset: u64) {
    if offset != 0 {
        unsafe { imports::free(offset) };
    }
}
