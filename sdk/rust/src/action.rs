//! Arguments of actions.

use crate::json::{quote, Json};

/// What an action can take: all that is [`FromJson`].
pub trait FromArgs: Sized {
    /// Makes it of the input of the call, or says what is wrong with that.
    fn from_input(input: &[u8]) -> Result<Self, String>;
}

impl<T: FromJson> FromArgs for T {
    fn from_input(input: &[u8]) -> Result<Self, String> {
        const NOT_ONE: &str = "the arguments are not a JSON object";
        let text = std::str::from_utf8(input).map_err(|_| NOT_ONE)?;
        if text.trim().is_empty() {
            return T::from_json(&Json::Object(Vec::new()), "");
        }
        match text.parse() {
            Ok(object @ Json::Object(_)) => T::from_json(&object, ""),
            Err(e) if e.trailing && text.trim_start().starts_with('{') => Err("something follows the JSON object of the arguments".to_string()),
            _ => Err(NOT_ONE.to_string()),
        }
    }
}

/// What an argument can be; [`args!`](crate::args) implements it for structs.
pub trait FromJson: Sized {
    /// Makes it of a value that is not null, or says what is wrong with that; path names the argument.
    fn from_json(value: &Json, path: &str) -> Result<Self, String>;

    /// What it is when the argument is not there; None: it has to be.
    fn absent() -> Option<Self> {
        None
    }
}

fn wrong(value: &Json, path: &str, wanted: &str) -> String {
    match value {
        Json::Number(number) => {
            let text = if wanted == "integer" { format!(" {}", number) } else { String::new() };
            format!("argument {}: number{} where {} belongs", path, text, wanted)
        }
        _ => format!("argument {}: {} where {} belongs", path, value.kind(), wanted),
    }
}

impl FromJson for Json {
    fn from_json(value: &Json, _: &str) -> Result<Self, String> {
        Ok(value.clone())
    }
}

impl FromJson for String {
    fn from_json(value: &Json, path: &str) -> Result<Self, String> {
        match value {
            Json::String(text) => Ok(text.clone()),
            _ => Err(wrong(value, path, "string")),
        }
    }
}

impl FromJson for bool {
    fn from_json(value: &Json, path: &str) -> Result<Self, String> {
        match value {
            Json::Bool(value) => Ok(*value),
            _ => Err(wrong(value, path, "bool")),
        }
    }
}

impl FromJson for f64 {
    fn from_json(value: &Json, path: &str) -> Result<Self, String> {
        match value {
            Json::Number(number) => Ok(number.float()),
            _ => Err(wrong(value, path, "number")),
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {
        $(impl FromJson for $type {
            fn from_json(value: &Json, path: &str) -> Result<Self, String> {
                match value {
                    Json::Number(number) => number.integer().ok_or_else(|| wrong(value, path, "integer")),
                    _ => Err(wrong(value, path, "integer")),
                }
            }
        })*
    };
}
integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: &Json, path: &str) -> Result<Self, String> {
        T::from_json(value, path).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: &Json, path: &str) -> Result<Self, String> {
        match value {
            Json::Array(items) => items.iter().map(|item| T::from_json(item, path)).collect(),
            _ => Err(wrong(value, path, "array")),
        }
    }
}

/// The members of an object that args! takes apart.
pub struct Members<'a> {
    members: &'a [(String, Json)],
    path: &'a str,
}

impl<'a> Members<'a> {
    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Json)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a member; None when it is null.
    pub fn member<T: FromJson>(&self, name: &str, value: &Json) -> Result<Option<T>, String> {
        match value {
            Json::Null => Ok(None),
            _ => T::from_json(value, &self.at(name)).map(Some),
        }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            return name.to_string();
        }
        format!("{}.{}", self.path, name)
    }
}

/// The members of a value that has to be an object.
pub fn object<'a>(value: &'a Json, path: &'a str) -> Result<Members<'a>, String> {
    match value {
        Json::Object(members) => Ok(Members { members, path }),
        _ => Err(wrong(value, path, "object")),
    }
}

/// What is said of a member that there is no field for.
pub fn unknown(members: &Members, name: &str) -> String {
    let mut message = "there is no argument ".to_string();
    let _ = quote(&members.at(name), &mut message); // a String takes all
    message
}

/// The value of a field that has no member and no default.
pub fn missing<T: FromJson>(members: &Members, name: &str) -> Result<T, String> {
    T::absent().ok_or_else(|| format!("argument {} is missing", members.at(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::args! {
        struct Deep {
            deep: bool,
        }
    }
    crate::args! {
        /// Of all kinds.
        pub struct All {
            n: i64,
            pub list: Vec<String> = Vec::new(),
            mark: Option<String>,
            inner: Option<Deep>,
        }
    }

    #[test]
    fn arguments_are_read() {
        let all = All::from_input(br#" {"n": 1, "list": ["a"], "mark": null, "inner": {"deep": true}} "#).unwrap();
        assert_eq!((all.n, all.list, all.mark, all.inner.unwrap().deep), (1, vec!["a".to_string()], None, true));
        assert!(Json::from_input(b"").unwrap() == Json::Object(vec![]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (input, want) in [
            ("7", "the arguments are not a JSON object"),
            ("{\"n\":", "the arguments are not a JSON object"),
            ("{} {}", "something follows the JSON object of the arguments"),
            ("", "argument n is missing"),
            (r#"{"m": 1}"#, r#"there is no argument "m""#),
            (r#"{"n": "1"}"#, "argument n: string where integer belongs"),
            (r#"{"n": 1.5}"#, "argument n: number 1.5 where integer belongs"),
            (r#"{"n": 1, "list": [1]}"#, "argument list: number where string belongs"),
            (r#"{"n": 1, "inner": {"deep": 1}}"#, "argument inner.deep: number where bool belongs"),
            (r#"{"n": 1, "inner": {}}"#, "argument inner.deep is missing"),
        ] {
            assert_eq!(All::from_input(input.as_bytes()).err().as_deref(), Some(want), "{}", input);
        }
    }
}
