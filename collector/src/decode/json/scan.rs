//! JSON text, token by token, without recursion.
//!
//! Strings are handed out as they stand between their quotes; bytes that are not UTF-8 and control characters pass,
//! since a span's text concerns only that span. Everything else follows RFC 8259.

use memchr::memchr2;

/// Where the text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct Syntax {
    pub at: usize,
    pub expected: &'static str,
}

impl Syntax {
    /// Line and column, from 1, the column in bytes.
    pub fn position(self, text: &[u8]) -> (usize, usize) {
        let before = &text[..self.at.min(text.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
        (line, column)
    }
}

pub(super) type Scan<T> = Result<T, Syntax>;

/// A value that holds no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar<'t> {
    /// Between the quotes, escapes not yet resolved.
    String(&'t [u8]),
    Number(&'t str),
    Bool(bool),
    Null,
}

#[derive(Debug)]
pub(super) struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Scanner { text, at: 0 }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn expected<T>(&self, expected: &'static str) -> Scan<T> {
        Err(Syntax { at: self.at, expected })
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Consumes `byte` if it comes next.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The next key of an object with its colon, or `None` at the object's end. `first` is cleared.
    pub fn key(&mut self, first: &mut bool) -> Scan<Option<&'t [u8]>> {
        if self.eat(b'}') {
            return Ok(None);
        }
        if !std::mem::take(first) && !self.eat(b',') {
            return self.expected("',' or '}'");
        }
        if self.peek() != Some(b'"') {
            return self.expected("a key in quotes");
        }
        let key = self.string()?;
        if !self.eat(b':') {
            return self.expected("':'");
        }
        Ok(Some(key))
    }

    /// Whether an array has another element; consumes the comma or the bracket. `first` is cleared.
    pub fn element(&mut self, first: &mut bool) -> Scan<bool> {
        if self.eat(b']') {
            return Ok(false);
        }
        if !std::mem::take(first) && !self.eat(b',') {
            return self.expected("',' or ']'");
        }
        Ok(true)
    }

    /// A value that is neither array nor object.
    pub fn scalar(&mut self) -> Scan<Scalar<'t>> {
        match self.peek() {
            Some(b'"') => Ok(Scalar::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Scalar::Number(self.number()?)),
            _ if self.word(b"true") => Ok(Scalar::Bool(true)),
            _ if self.word(b"false") => Ok(Scalar::Bool(false)),
            _ if self.word(b"null") => Ok(Scalar::Null),
            _ => self.expected("a value"),
        }
    }

    fn word(&mut self, word: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// Skips a value and returns its text. The open brackets are kept as bits, so depth costs next to nothing.
    pub fn skip(&mut self) -> Scan<&'t [u8]> {
        self.peek();
        let start = self.at;
        let mut open = Brackets::default();
        let mut first = true;
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    open.push(true);
                    first = true;
                }
                Some(b'[') => {
                    self.at += 1;
                    open.push(false);
                    first = true;
                }
                _ => drop(self.scalar()?),
            }
            loop {
                let more = match open.last() {
                    None => return Ok(&self.text[start..self.at]),
                    Some(true) => self.key(&mut first)?.is_some(),
                    Some(false) => self.element(&mut first)?,
                };
                if more {
                    break;
                }
                open.pop();
                first = false;
            }
        }
    }

    fn string(&mut self) -> Scan<&'t [u8]> {
        let start = self.at + 1;
        let mut at = start;
        while let Some(found) = self.text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += found;
            if self.text[at] == b'"' {
                self.at = at + 1;
                return Ok(&self.text[start..at]);
            }
            at += 2;
        }
        self.expected("a string with its closing quote")
    }

    fn number(&mut self) -> Scan<&'t str> {
        let start = self.at;
        self.eat_one(b"-");
        let leading_zero = self.text.get(self.at) == Some(&b'0');
        let digits = self.digits();
        let mut valid = digits > 0 && (digits == 1 || !leading_zero);
        if self.eat_one(b".") {
            valid &= self.digits() > 0;
        }
        if self.eat_one(b"eE") {
            self.eat_one(b"+-");
            valid &= self.digits() > 0;
        }
        match std::str::from_utf8(&self.text[start..self.at]) {
            Ok(number) if valid => Ok(number),
            _ => Err(Syntax { at: start, expected: "a number" }),
        }
    }

    fn eat_one(&mut self, any: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| any.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> usize {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        digits
    }
}

/// The text of a number, when that is all there is.
pub(super) fn number(text: &[u8]) -> Option<&str> {
    let mut scan = Scanner::new(text);
    let number = scan.number().ok()?;
    (number.len() == text.len()).then_some(number)
}

/// A stack of brackets, one bit each: set for `{`.
#[derive(Debug, Default)]
struct Brackets {
    bits: Vec<u64>,
    len: usize,
}

impl Brackets {
    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.len / 64, self.len % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = self.bits[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.len += 1;
    }

    fn last(&self) -> Option<bool> {
        let last = self.len.checked_sub(1)?;
        Some(self.bits[last / 64] >> (last % 64) & 1 == 1)
    }

    fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }
}

/// Appends a string with its escapes resolved. Returns false when an escape is none; half of a surrogate pair becomes
/// a byte that is no UTF-8, so that it ends as U+FFFD with the anomaly that belongs to it.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(&escape) = rest.get(at + 1) else { return false };
        rest = &rest[at + 2..];
        match escape {
            b'"' | b'\\' | b'/' => out.push(escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => match unescape_unicode(&mut rest) {
                Some(Ok(char)) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
                Some(Err(Lone)) => out.push(0xff),
                None => return false,
            },
            _ => return false,
        }
    }
    out.extend_from_slice(rest);
    true
}

/// Half of a surrogate pair without the other.
struct Lone;

/// What follows `\u`; `None` when those are not four hex digits.
fn unescape_unicode(rest: &mut &[u8]) -> Option<Result<char, Lone>> {
    let unit = hex4(rest)?;
    if !(0xd800..0xe000).contains(&unit) {
        return Some(char::from_u32(unit).ok_or(Lone));
    }
    let mut after = *rest;
    if unit < 0xdc00 && after.starts_with(b"\\u") {
        after = &after[2..];
        if let Some(low @ 0xdc00..0xe000) = hex4(&mut after) {
            *rest = after;
            return Some(char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).ok_or(Lone));
        }
    }
    Some(Err(Lone))
}

fn hex4(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    let value = digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))?;
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_agrees_with_serde_json_on_what_is_json() {
        for text in [
            "{}",
            "[]",
            "[[],{}]",
            r#"{"a":[1,-2.5e+3,"x\"y",true,false,null],"b":{"c":{}}}"#,
            "0",
            "-0.0",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{a:1}",
            "01",
            "1.",
            ".5",
            "1e",
            "-",
            "+1",
            "tru",
            "\"open",
            "[1 2]",
            "[",
            "{",
            "]",
            "",
            "[}",
            "{]",
        ] {
            let skipped = Scanner::new(text.as_bytes()).skip();
            let json = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(skipped.is_ok(), json.is_ok(), "{text}: {skipped:?}");
        }
    }

    #[test]
    fn depth_is_free() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(Scanner::new(deep.as_bytes()).skip().expect("valid").len(), 2_000_000);
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them() {
        for text in [r#""""#, r#""a\n\t\\\/\"\b\f\r""#, r#""\u00e9\u4e2d\ud83e\udd80""#, "\"日本\""] {
            let expected: String = serde_json::from_str(text).expect("valid");
            let Ok(Scalar::String(raw)) = Scanner::new(text.as_bytes()).scalar() else { panic!("a string") };
            let mut out = Vec::new();
            assert!(unescape(raw, &mut out));
            assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
        }
        let lone = |raw: &[u8]| {
            let mut out = Vec::new();
            unescape(raw, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
        };
        assert_eq!(lone(br"a\ud83eb"), Some("a\u{fffd}b".into()));
        assert_eq!(lone(br"\udd80"), Some("\u{fffd}".into()));
        assert_eq!(lone(br"\ud83e\u0041"), Some("\u{fffd}A".into()));
        assert_eq!(lone(br"\x"), None);
        assert_eq!(lone(br"\u12"), None);
    }

    #[test]
    fn positions_count_lines_and_columns_from_one() {
        let text = b"{\n  \"a\": tru\n}";
        let error = Scanner::new(text).skip().expect_err("no value");
        assert_eq!(error.position(text), (2, 8));
    }
}
