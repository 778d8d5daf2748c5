//! Turns Rust functions into plugins for [taskhost](https://github.com/taskhost/taskhost). It needs the standard library alone.
//!
//! ```ignore
//! use taskhost::Error;
//!
//! fn process(text: String) -> Result<String, Error> {
//!     if text.is_empty() {
//!         return Err(Error::invalid("there is nothing to shout"));
//!     }
//!     Ok(text.to_uppercase())
//! }
//! taskhost::process!(process);
//! ```
//!
//! [`process!`] exports a step: bytes or text in, bytes or text out. [`action!`] exports an action: a JSON object in, a JSON object out. An error
//! that the function returns is the error of the task; [`Error::invalid`] says that the input is at fault, and the task is not tried again.
//! A panic is an error too: its message, with the place in the source, is that of the task.
//!
//! While it runs, a function can report progress, ask whether the task was cancelled, read its configuration, log, count, keep vars, save
//! checkpoints and make HTTP requests, with the functions of this crate. What they return belongs to the caller.
//!
//! What the host does not grant, or what goes past a limit, ends the call inside the function that asked: a plugin cannot catch it.
//!
//! On any other platform than Wasm the crate compiles as well, for tests of what does not call the host: its functions do nothing there, and
//! find nothing.

#![warn(missing_docs)]

mod action;
mod call;
mod host;
mod json;
mod task;

pub use action::{FromArgs, FromJson};
pub use call::{Error, Input};
pub use json::Json;
pub use task::*;

#[doc(hidden)]
pub mod internal {
    pub use crate::action::{missing, object, unknown, Members};
    pub use crate::call::{run_action, run_process};
}

/// Exports a function as a step that tasks can run, by its own name or another.
///
/// The function takes the input, a `Vec<u8>` or a `String` (what is not UTF-8 is invalid input then), and returns `Result<T, E>`: T is bytes or
/// text, E is [`Error`] or what can be made one, such as `String`, `&str` and the errors of the standard library.
///
/// ```ignore
/// taskhost::process!(process);          // exported as "process", what tasks call by default
/// taskhost::process!(title as heading); // exported as "heading"
/// ```
#[macro_export]
macro_rules! process {
    ($f:ident) => {
        $crate::process!($f as $f);
    };
    ($f:ident as $name:ident) => {
        const _: () = {
            mod export {
                #[no_mangle]
                pub extern "C" fn $name() -> i32 {
                    $crate::internal::run_process(super::$f)
                }
            }
        };
    };
}

/// Exports a function as an action, by its own name or another.
///
/// The function takes the arguments: a struct declared with [`args!`], or [`Json`] as it is. It returns `Result<T, E>`: T is a [`Json`] object,
/// E is as for [`process!`].
///
/// Input that is not an object, an argument of the wrong type, one that is missing and one that the struct has no field for are invalid input,
/// with a message that names the argument. No input counts as an object without arguments, and null as an argument that is not there.
#[macro_export]
macro_rules! action {
    ($f:ident) => {
        $crate::action!($f as $f);
    };
    ($f:ident as $name:ident) => {
        const _: () = {
            mod export {
                #[no_mangle]
                pub extern "C" fn $name() -> i32 {
                    $crate::internal::run_action(super::$f)
                }
            }
        };
    };
}

/// Declares the arguments of an action: a struct that is made of a JSON object.
///
/// A field must be there, unless it has a default, or is an `Option`. Types are `String`, `bool`, the integers, `f64`, [`Json`], `Option`, `Vec`, and
/// other structs that are declared like this.
///
/// ```ignore
/// taskhost::args! {
///     struct Greet {
///         name: String,
///         times: u32 = 1,
///         mark: Option<String>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! args {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty $(= $default:expr)?),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),*
        }

        impl $crate::FromJson for $name {
            fn from_json(value: &$crate::Json, path: &str) -> ::std::result::Result<Self, ::std::string::String> {
                let members = $crate::internal::object(value, path)?;
                $(let mut $field: ::std::option::Option<$type> = ::std::option::Option::None;)*
                for (name, value) in members.iter() {
                    match name {
                        $(stringify!($field) => $field = members.member(name, value)?,)*
                        _ => return ::std::result::Result::Err($crate::internal::unknown(&members, name)),
                    }
                }
                ::std::result::Result::Ok($name {
                    $($field: match $field {
                        ::std::option::Option::Some(value) => value,
                        ::std::option::Option::None => $crate::args!(@absent $type, members, stringify!($field) $(, $default)?),
                    }),*
                })
            }
        }
    };
    (@absent $type:ty, $members:ident, $name:expr, $default:expr) => {
        $default
    };
    (@absent $type:ty, $members:ident, $name:expr) => {
        $crate::internal::missing::<$type>(&$members, $name)?
    };
}
