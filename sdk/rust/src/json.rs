//! JSON, as much as actions need.

use std::fmt;
use std::str::FromStr;

/// A JSON value.
///
/// It is made with [`object!`](crate::object), or `From`: `Json::from(7)`, `Json::from("text")`, `Json::from(vec![1, 2])`. Its `Display` is JSON
/// text, and `text.parse::<Json>()` reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list of values.
    Array(Vec<Json>),
    /// Members, in their order. Of two with the same name, [`Json::get`] finds the last.
    Object(Vec<(String, Json)>),
}

/// A number, as it is written: large integers lose nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Number(String);

impl Number {
    /// The value, if it is an integer without a fraction and an exponent, and fits.
    pub fn integer<T: FromStr>(&self) -> Option<T> {
        self.0.parse().ok()
    }

    /// The value, to the precision that there is.
    pub fn float(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a [`Json`] object: `object! { "name": name, "count": 3, "list": vec![1, 2] }`.
#[macro_export]
macro_rules! object {
    ($($name:literal : $value:expr),* $(,)?) => {
        $crate::Json::Object(vec![$(($name.to_string(), $crate::Json::from($value))),*])
    };
}

impl Json {
    /// Makes an object of names and values.
    pub fn object<N: Into<String>, V: Into<Json>>(members: impl IntoIterator<Item = (N, V)>) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The kind of value, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "bool",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Json::String(value.to_string())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Json::String(value)
    }
}

impl From<&String> for Json {
    fn from(value: &String) -> Self {
        Json::String(value.clone())
    }
}

/// Null when it is not finite.
impl From<f64> for Json {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Json::Number(Number(value.to_string()))
        } else {
            Json::Null
        }
    }
}

macro_rules! from_integers {
    ($($type:ty),*) => {
        $(impl From<$type> for Json {
            fn from(value: $type) -> Self {
                Json::Number(Number(value.to_string()))
            }
        })*
    };
}
from_integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(values: Vec<T>) -> Self {
        Json::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Json::Null, Into::into)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{}", value),
            Json::Number(number) => write!(f, "{}", number),
            Json::String(text) => quote(text, f),
            Json::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Json::Object(members) => {
                f.write_str("{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    quote(name, f)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

pub fn quote(text: &str, f: &mut dyn fmt::Write) -> fmt::Result {
    f.write_str("\"")?;
    let mut done = 0;
    for (i, c) in text.bytes().enumerate() {
        if c >= b' ' && c != b'"' && c != b'\\' {
            continue;
        }
        f.write_str(&text[done..i])?;
        done = i + 1;
        match c {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            _ => write!(f, "\\u{:04x}", c)?,
        }
    }
    f.write_str(&text[done..])?;
    f.write_str("\"")
}

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    at: usize,
    pub(crate) trailing: bool,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.trailing { "something follows the JSON value" } else { "it is not JSON" };
        write!(f, "{}, at byte {}", what, self.at)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for crate::Error {
    fn from(error: Malformed) -> Self {
        crate::Error::new(error)
    }
}

impl FromStr for Json {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        match parser.value() {
            Some(value) if parser.peek().is_none() => Ok(value),
            Some(_) => Err(Malformed { at: parser.at, trailing: true }),
            None => Err(Malformed { at: parser.at, trailing: false }),
        }
    }
}

/// How deep values can be in one another.
const DEPTH: usize = 200;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    fn accept(&mut self, c: u8) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Option<Json> {
        match self.peek()? {
            b'{' => self.nested(b'}', Vec::new(), |p| {
                let name = if p.peek() == Some(b'"') { p.string()? } else { return None };
                if !p.accept(b':') {
                    return None;
                }
                Some((name, p.value()?))
            }).map(Json::Object),
            b'[' => self.nested(b']', Vec::new(), |p| p.value()).map(Json::Array),
            b'"' => self.string().map(Json::String),
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            _ => self.number(),
        }
    }

    fn nested<T>(&mut self, close: u8, mut items: Vec<T>, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.at += 1;
        if self.accept(close) {
            return Some(items);
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        loop {
            items.push(item(self)?);
            if self.accept(close) {
                self.depth -= 1;
                return Some(items);
            }
            if !self.accept(b',') {
                return None;
            }
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        if !self.text[self.at..].starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(value)
    }

    fn digits(&mut self) -> Option<usize> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > from {
            Some(self.at - from)
        } else {
            None
        }
    }

    fn number(&mut self) -> Option<Json> {
        let from = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.byte() == Some(b'0');
        if self.digits()? > 1 && zero {
            return None;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(Json::Number(Number(self.text[from..self.at].to_string())))
    }

    fn string(&mut self) -> Option<String> {
        self.at += 1;
        let mut out = String::new();
        let mut done = self.at;
        loop {
            let c = self.byte()?;
            self.at += 1;
            match c {
                b'"' => {
                    out.push_str(&self.text[done..self.at - 1]);
                    return Some(out);
                }
                b'\\' => {
                    out.push_str(&self.text[done..self.at - 1]);
                    out.push(self.escape()?);
                    done = self.at;
                }
                0..=31 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let c = self.byte()?;
        self.at += 1;
        Some(match c {
            b'"' | b'\\' | b'/' => c as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let before = self.at;
                if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                    }
                    self.at = before;
                }
                char::from_u32(high).unwrap_or('\u{fffd}')
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for text in ["null", "true", "-0.5e+10", "12345678901234567890", r#""a\"\\\n\u0001é🌍""#, "[]", "{}", r#"{"a":[1,{"b":null}],"c":""}"#] {
            assert_eq!(text.parse::<Json>().unwrap().to_string(), text);
        }
        assert_eq!(r#" "\u00e9\ud83c\udf0d\/\ud83c" "#.parse(), Ok(Json::from("é🌍/\u{fffd}")));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(DEPTH + 2) + &"]".repeat(DEPTH + 2);
        for text in ["", "nul", "01", "1.", "-", "1e", "[1,]", "[1 2]", "{\"a\"}", "{a:1}", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"", &deep] {
            assert!(text.parse::<Json>().is_err(), "{}", text);
        }
        assert!("1 2".parse::<Json>().unwrap_err().trailing);
    }
}
