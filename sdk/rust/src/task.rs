//! What a function can do while it runs.

use crate::host::{imports, release, store, take, take_text};
use crate::json::Json;
use std::collections::BTreeMap;
use std::fmt;

/// Reports that `step` of `total` steps are done, with a message for whoever watches, or "". A total of 0 means that it is not known. It is cheap,
/// so a loop may call it each time round; what the watcher sees is thinned out by the host.
pub fn progress(step: usize, total: usize, message: &str) {
    let clamp = |n: usize| n.min(i32::MAX as usize) as i32;
    let m = store(message.as_bytes());
    unsafe { imports::taskhost_progress(clamp(step), clamp(total), f64::NAN, m) };
    release(m);
}

/// Reports progress as a number from 0 to 1.
pub fn progress_fraction(fraction: f64, message: &str) {
    let m = store(message.as_bytes());
    unsafe { imports::taskhost_progress(0, 0, fraction, m) };
    release(m);
}

/// Tells whether the task is to stop. A function that sees true can tidy up, in the time that the manifest's `cancel_grace_ms` gives, and return
/// [`Error::cancelled`](crate::Error::cancelled); one that never asks is stopped all the same.
pub fn cancelled() -> bool {
    unsafe { imports::taskhost_cancelled() != 0 }
}

/// Returns the value of a configuration key: from the call, else from the plugin's manifest. None: there is none, or it is empty.
pub fn config(key: &str) -> Option<String> {
    let k = store(key.as_bytes());
    let value = take_text(unsafe { imports::config_get(k) });
    release(k);
    value
}

/// The level of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The finest.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// The usual; from here upwards the last lines are part of the call's result.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something went wrong.
    Error,
}

/// Tells whether the host takes messages of a level.
pub fn logs(level: Level) -> bool {
    level as i32 >= unsafe { imports::get_log_level() }
}

/// Writes a message to the host's log: `log(Level::Warn, format_args!("{} pages", n))`, or a text. Below the host's level it does nothing,
/// formatting included. The host bounds the bytes that one call can log: past that the call ends.
pub fn log(level: Level, message: impl fmt::Display) {
    if !logs(level) {
        return;
    }
    let m = store(message.to_string().as_bytes());
    unsafe {
        match level {
            Level::Trace => imports::log_trace(m),
            Level::Debug => imports::log_debug(m),
            Level::Info => imports::log_info(m),
            Level::Warn => imports::log_warn(m),
            Level::Error => imports::log_error(m),
        }
    }
    release(m);
}

/// Adds to a counter, which shows as `taskhost_plugin_NAME` with the label `plugin`. The name begins with a lower-case letter and has only those,
/// digits and underscores; the value is not negative. Labels are names and values; each set of values is kept for as long as the plugin is loaded,
/// so values are words from a short list, never ids or input.
///
/// An error says why the host did not take it: a bad name, too many names or sets of labels.
pub fn metric_add(name: &str, value: f64, labels: &[(&str, &str)]) -> Result<(), String> {
    metric(imports::taskhost_metric_add, name, value, labels)
}

/// Sets a gauge; otherwise it is as [`metric_add`], and the value may be negative.
pub fn metric_set(name: &str, value: f64, labels: &[(&str, &str)]) -> Result<(), String> {
    metric(imports::taskhost_metric_set, name, value, labels)
}

/// Puts a value into a histogram; otherwise it is as [`metric_add`], and the value may be negative.
pub fn metric_observe(name: &str, value: f64, labels: &[(&str, &str)]) -> Result<(), String> {
    metric(imports::taskhost_metric_observe, name, value, labels)
}

#[cfg(target_arch = "wasm32")]
type Metric = unsafe extern "C" fn(u64, f64, u64) -> u64;
#[cfg(not(target_arch = "wasm32"))]
type Metric = unsafe fn(u64, f64, u64) -> u64;

fn metric(f: Metric, name: &str, value: f64, labels: &[(&str, &str)]) -> Result<(), String> {
    let n = store(name.as_bytes());
    let l = if labels.is_empty() { 0 } else { store(pairs(labels).to_string().as_bytes()) };
    let message = unsafe { f(n, value, l) };
    release(n);
    release(l);
    accepted(message)
}

fn accepted(message: u64) -> Result<(), String> {
    match take_text(message) {
        Some(message) => Err(message),
        None => Ok(()),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Json {
    Json::object(pairs.iter().map(|(name, value)| (*name, *value)))
}

/// Returns a var: a value that a call before this one left with [`set_var`]. Vars last as long as the sandbox, which by default is one call; the
/// manifest's isolation "reuse" makes them last, and a call of an agent with memory brings its own. None: there is none; an empty value counts as
/// none.
pub fn var(key: &str) -> Option<Vec<u8>> {
    take(unsafe { imports::var_get(store(key.as_bytes())) }) // which frees the key
}

/// Sets a var; an empty value removes it. The host bounds the bytes of all vars together: past that the call ends.
pub fn set_var(key: &str, value: &[u8]) {
    unsafe { imports::var_set(store(key.as_bytes()), store(value)) } // which frees both
}

/// Keeps a state for a later attempt of the task, which gets it from [`load_checkpoint`] and goes on from there; an empty one forgets it. It returns
/// when the state is stored, which may take some milliseconds: save after each part of the work that is worth more than that.
///
/// An error says why it was not kept, and the one before stays: it is larger than 64 KiB, the host's store failed, or the call is no attempt of a
/// task. Mostly it is right to go on without.
pub fn save_checkpoint(state: &[u8]) -> Result<(), String> {
    let s = store(state);
    let message = unsafe { imports::taskhost_checkpoint_save(s) };
    release(s);
    accepted(message)
}

/// Returns the state that was saved last with [`save_checkpoint`], by this attempt of the task or an earlier one.
pub fn load_checkpoint() -> Option<Vec<u8>> {
    take(unsafe { imports::taskhost_checkpoint_load() })
}

/// An HTTP request; `..Default::default()` stands for what is not set.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Default: GET.
    pub method: &'a str,
    /// http or https, to a host that the plugin's manifest allows.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// What is sent.
    pub body: &'a [u8],
}

/// The answer to a [`Request`].
#[derive(Debug, Clone)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case; values of the same name joined with commas.
    pub headers: BTreeMap<String, String>,
    /// What was answered.
    pub body: Vec<u8>,
}

/// Makes a request through the host. An answer with any status is an answer. What is not one ends the call: a host that the manifest does not
/// allow, no connection, a body past the manifest's bound.
pub fn http(request: &Request) -> Response {
    let mut meta = vec![("url".to_string(), Json::from(request.url))];
    if !request.method.is_empty() {
        meta.push(("method".to_string(), Json::from(request.method)));
    }
    if !request.headers.is_empty() {
        meta.push(("headers".to_string(), pairs(request.headers)));
    }
    let meta = store(Json::Object(meta).to_string().as_bytes());
    let body = take(unsafe { imports::http_request(meta, store(request.body)) }); // which frees both
    let status = unsafe { imports::http_status_code() };
    let mut headers = BTreeMap::new();
    let text = take_text(unsafe { imports::http_headers() });
    if let Some(Ok(Json::Object(members))) = text.map(|text| text.parse()) {
        for (name, value) in members {
            if let Json::String(value) = value {
                headers.insert(name, value);
            }
        }
    }
    Response { status: status as u16, headers, body: body.unwrap_or_default() }
}
