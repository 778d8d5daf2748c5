//! The frame of every exported function.

use crate::action::FromArgs;
use crate::host::{imports, load, store};
use crate::json::Json;
use std::fmt;
use std::sync::Once;

/// The error of a call: a message, and whether it is one of the input.
///
/// Any error of the standard library, a `String` and a `&str` become one with `?` or `into()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    message: String,
    invalid: bool,
}

impl Error {
    /// An error; the task may be tried again.
    pub fn new(message: impl fmt::Display) -> Self {
        Error { message: message.to_string(), invalid: false }
    }

    /// An error of the input: the task is not tried again.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Error { message: message.to_string(), invalid: true }
    }

    /// What a function returns that stopped because of [`cancelled`](crate::cancelled).
    pub fn cancelled() -> Self {
        Error::new("cancelled")
    }

    /// Whether it is an error of the input.
    pub fn is_invalid(&self) -> bool {
        self.invalid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Error::new(message)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error { message, invalid: false }
    }
}

macro_rules! from_errors {
    ($($type:ty),*) => {
        $(impl From<$type> for Error {
            fn from(error: $type) -> Self {
                Error::new(error)
            }
        })*
    };
}
from_errors!(
    Box<dyn std::error::Error>,
    fmt::Error,
    std::io::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error
);

/// What a step can take: bytes, or text that is checked to be UTF-8.
pub trait Input: Sized {
    /// Makes it of the input of the call.
    fn from_input(input: Vec<u8>) -> Result<Self, Error>;
}

impl Input for Vec<u8> {
    fn from_input(input: Vec<u8>) -> Result<Self, Error> {
        Ok(input)
    }
}

impl Input for String {
    fn from_input(input: Vec<u8>) -> Result<Self, Error> {
        String::from_utf8(input).map_err(|e| Error::invalid(format!("invalid UTF-8 at byte {}", e.utf8_error().valid_up_to())))
    }
}

/// Runs a step on the input of the call.
pub fn run_process<In: Input, Out: Into<Vec<u8>>, E: Into<Error>>(f: impl FnOnce(In) -> Result<Out, E>) -> i32 {
    run(|| f(In::from_input(input())?).map(Into::into).map_err(Into::into))
}

/// Runs an action on the arguments of the call.
pub fn run_action<Args: FromArgs, E: Into<Error>>(f: impl FnOnce(Args) -> Result<Json, E>) -> i32 {
    run(|| {
        let args = Args::from_input(&input()).map_err(Error::invalid)?;
        let reply = f(args).map_err(Into::into)?;
        match reply {
            Json::Object(_) => Ok(reply.to_string().into_bytes()),
            Json::Null => Ok(b"{}".to_vec()),
            other => Err(Error::new(format!("the action's result is {}, which is not a JSON object", other.kind()))),
        }
    })
}

fn input() -> Vec<u8> {
    unsafe { load(imports::input_offset(), imports::input_length()) }
}

fn run(f: impl FnOnce() -> Result<Vec<u8>, Error>) -> i32 {
    report_panics();
    match f() {
        Ok(output) => {
            unsafe { imports::output_set(store(&output), output.len() as u64) };
            0
        }
        Err(e) => {
            let message = store(e.message.as_bytes());
            if e.invalid {
                unsafe { imports::taskhost_invalid_input(message) };
            } else {
                unsafe { imports::error_set(message) };
            }
            1
        }
    }
}

/// Makes a panic the error of the call, which it ends.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let mut message = format!("panic: {}", text.unwrap_or("a value that is no text"));
            if let Some(place) = info.location() {
                message += &format!(" ({}:{})", place.file(), place.line());
            }
            unsafe { imports::error_set(store(message.as_bytes())) };
        }));
    });
}
