//! OTLP attributes (`KeyValue`, `AnyValue`) from the wire into JSON text and promoted columns.
//!
//! Nested arrays and kvlists are walked with a stack of their own; below [`Limits::max_depth`] the encoded `AnyValue`
//! is kept as `{"@bytes":…}`. Of a repeated oneof the last one wins, as protobuf wants it.

use std::ops::Range;

use model::schema::PromotedType;

use super::field::lossy;
use super::limits::Limits;
use super::promoted::{PromotedValue, Slots};
use super::report::Anomalies;
use super::text::JsonText;
use super::wire::{Cursor, Walk};

/// An `AnyValue`, its nested values still encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Any<'a> {
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(&'a [u8]),
    Kvlist(&'a [u8]),
    Bytes(&'a [u8]),
    /// An index into the string table that only the profiling signal has.
    StringIndex,
}

impl<'a> Any<'a> {
    pub fn read(message: &'a [u8]) -> Walk<Self> {
        let mut cursor = Cursor::new(message);
        let mut any = Any::Empty;
        while let Some(field) = cursor.next()? {
            any = match field.number {
                1 => Any::Text(field.bytes()?),
                2 => Any::Bool(field.varint()? != 0),
                3 => Any::Int(field.varint()? as i64),
                4 => Any::Double(field.double()?),
                5 => Any::Array(field.bytes()?),
                6 => Any::Kvlist(field.bytes()?),
                7 => Any::Bytes(field.bytes()?),
                8 => field.varint().map(|_| Any::StringIndex)?,
                _ => any,
            };
        }
        Ok(any)
    }
}

/// A `KeyValue`; the value is an encoded `AnyValue`.
#[derive(Debug, Clone, Copy)]
struct KeyValue<'a> {
    key: &'a [u8],
    value: &'a [u8],
    string_index: bool,
}

impl<'a> KeyValue<'a> {
    #[inline]
    fn read(message: &'a [u8]) -> Walk<Self> {
        let mut cursor = Cursor::new(message);
        let mut pair = KeyValue { key: &[], value: &[], string_index: false };
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => pair.key = field.bytes()?,
                2 => pair.value = field.bytes()?,
                3 => pair.string_index = field.varint()? != 0,
                _ => {}
            }
        }
        Ok(pair)
    }
}

#[derive(Debug)]
enum Level<'a> {
    Array(Cursor<'a>),
    Kvlist(Cursor<'a>),
}

/// Writes maps of attributes, one after the other, into one text.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    text: JsonText,
    levels: Vec<Level<'a>>,
    limits: Limits,
    start: usize,
    seen: usize,
    /// Attributes left out of the open map because of [`Limits::max_attributes`].
    pub dropped: u32,
}

impl<'a> Attributes<'a> {
    pub fn new(limits: Limits) -> Self {
        Attributes { text: JsonText::default(), levels: Vec::new(), limits, start: 0, seen: 0, dropped: 0 }
    }

    /// Forgets all maps; keeps the buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.levels.clear();
    }

    /// Read text that is not UTF-8 as U+FFFD from now on.
    pub fn set_lossy(&mut self, lossy: bool) {
        self.text.lossy = lossy;
    }

    pub fn anomalies(&self) -> Anomalies {
        self.text.anomalies
    }

    /// All maps since [`Attributes::clear`]; `None` when some text was not UTF-8 and has to be read again, lossily.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        self.text.as_str()
    }

    /// Starts a map.
    #[inline]
    pub fn begin(&mut self) {
        self.start = self.text.len();
        self.seen = 0;
        self.dropped = 0;
        self.text.open_object();
    }

    /// Ends the map; `None` when it is empty.
    #[inline]
    pub fn finish(&mut self) -> Option<Range<usize>> {
        self.text.close(false);
        let empty = self.text.len() == self.start + "{}".len();
        if empty {
            self.text.truncate(self.start);
        }
        (!empty).then(|| self.start..self.text.len())
    }

    /// Adds an encoded `KeyValue` to the open map.
    pub fn add(&mut self, message: &'a [u8]) -> Walk<()> {
        let pair = KeyValue::read(message)?;
        if self.is_full(pair) {
            return Ok(());
        }
        self.entry(pair.key, Any::read(pair.value)?)
    }

    /// Adds an encoded `KeyValue`, which is moved to its slot instead when its key and type have one.
    #[inline]
    pub fn add_or_promote(&mut self, message: &'a [u8], slots: &mut Slots<'a>) -> Walk<()> {
        let pair = KeyValue::read(message)?;
        if self.is_full(pair) {
            return Ok(());
        }
        let any = Any::read(pair.value)?;
        let Some((slot, ty)) = slots.keys.find(pair.key) else { return self.entry(pair.key, any) };
        let repeated = match self.promote(any, ty) {
            Some(value) => slots.set(slot, value) || slots.left_out(slot) && self.text.kill(pair.key),
            None => {
                let repeated = slots.unset(slot);
                self.entry(pair.key, any)?;
                repeated
            }
        };
        if repeated {
            self.text.anomalies.add(Anomalies::DUPLICATE_KEY);
        }
        Ok(())
    }

    /// Adds an encoded `KeyValue`, and copies it to its slot too.
    pub fn add_and_copy(&mut self, message: &'a [u8], slots: &mut Slots<'a>) -> Walk<()> {
        let pair = KeyValue::read(message)?;
        if self.is_full(pair) {
            return Ok(());
        }
        let any = Any::read(pair.value)?;
        if let Some((slot, ty)) = slots.keys.find(pair.key) {
            match self.promote(any, ty) {
                Some(value) => slots.set(slot, value),
                None => slots.unset(slot),
            };
        }
        self.entry(pair.key, any)
    }

    /// Writes a value that stands alone, such as a log's body. Returns its text's place.
    pub fn value(&mut self, any: Any<'a>) -> Walk<Range<usize>> {
        let start = self.text.len();
        self.walk(any)?;
        Ok(start..self.text.len())
    }

    #[inline]
    fn is_full(&mut self, pair: KeyValue<'a>) -> bool {
        if pair.string_index {
            self.text.anomalies.add(Anomalies::STRING_INDEX);
        }
        if self.seen == self.limits.max_attributes {
            self.dropped = self.dropped.saturating_add(1);
            self.text.anomalies.add(Anomalies::TRUNCATED);
            return true;
        }
        self.seen += 1;
        false
    }

    #[inline]
    fn promote(&mut self, any: Any<'a>, ty: PromotedType) -> Option<PromotedValue<'a>> {
        match (any, ty) {
            (Any::Text(text), PromotedType::Text) => {
                let text = self.cut_text(text);
                Some(PromotedValue::Text(lossy(text, &mut self.text.anomalies)))
            }
            (Any::Int(value), PromotedType::Int) => Some(PromotedValue::Int(value)),
            _ => None,
        }
    }

    #[inline]
    fn entry(&mut self, key: &[u8], any: Any<'a>) -> Walk<()> {
        let mark = self.text.mark();
        self.text.key(key);
        if let Err(malformed) = self.walk(any) {
            self.levels.clear();
            self.text.rollback(mark);
            return Err(malformed);
        }
        self.text.end_entry();
        Ok(())
    }

    /// Writes `any` with all that is nested in it.
    fn walk(&mut self, any: Any<'a>) -> Walk<()> {
        let start = self.text.len();
        self.scalar_or_open(any);
        while let Some(level) = self.levels.last_mut() {
            let (cursor, is_array) = match level {
                Level::Array(cursor) => (cursor, true),
                Level::Kvlist(cursor) => (cursor, false),
            };
            let element = loop {
                match cursor.next()? {
                    Some(field) if field.number == 1 => break Some(field.bytes()?),
                    Some(_) => {}
                    None => break None,
                }
            };
            let full = self.text.len() - start > self.limits.max_value_bytes
                || self.text.entries() >= self.limits.max_attributes;
            let Some(element) = element.filter(|_| !full) else {
                if full && element.is_some() {
                    self.text.anomalies.add(Anomalies::TRUNCATED);
                }
                self.close_level();
                continue;
            };
            if is_array {
                self.nested(element)?;
            } else {
                let pair = KeyValue::read(element)?;
                if pair.string_index {
                    self.text.anomalies.add(Anomalies::STRING_INDEX);
                }
                self.text.key(pair.key);
                self.nested(pair.value)?;
            }
        }
        Ok(())
    }

    /// Ends the innermost level and, with it, the element or entry that it is in the level above.
    fn close_level(&mut self) {
        self.levels.pop();
        self.text.close(true);
        if !self.levels.is_empty() {
            self.text.end_value();
        }
    }

    /// Writes an element of the innermost level; deeper than allowed, it stays encoded.
    fn nested(&mut self, element: &'a [u8]) -> Walk<()> {
        let any = Any::read(element)?;
        let container = matches!(any, Any::Array(_) | Any::Kvlist(_));
        if container && self.levels.len() >= self.limits.max_depth {
            self.text.anomalies.add(Anomalies::DEEP_NESTING);
            self.bytes(element);
            self.text.end_value();
            return Ok(());
        }
        self.scalar_or_open(any);
        if !container {
            self.text.end_value();
        }
        Ok(())
    }

    #[inline]
    fn scalar_or_open(&mut self, any: Any<'a>) {
        match any {
            Any::Text(text) => {
                let text = self.cut_text(text);
                self.text.string(text);
            }
            Any::Int(value) => self.text.int(value),
            Any::Bool(value) => self.text.bool(value),
            Any::Double(value) => self.text.double(value),
            Any::Empty => self.text.null(),
            Any::Bytes(bytes) => self.bytes(bytes),
            Any::StringIndex => {
                self.text.anomalies.add(Anomalies::STRING_INDEX);
                self.text.null();
            }
            Any::Array(elements) => {
                self.text.open_array();
                self.levels.push(Level::Array(Cursor::new(elements)));
            }
            Any::Kvlist(pairs) => {
                self.text.open_object();
                self.levels.push(Level::Kvlist(Cursor::new(pairs)));
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let kept = bytes.get(..self.limits.max_value_bytes).unwrap_or(bytes);
        if kept.len() < bytes.len() {
            self.text.anomalies.add(Anomalies::TRUNCATED);
        }
        self.text.bytes(kept);
    }

    #[inline]
    fn cut_text(&mut self, text: &'a [u8]) -> &'a [u8] {
        if text.len() <= self.limits.max_value_bytes {
            return text;
        }
        self.text.anomalies.add(Anomalies::TRUNCATED);
        cut_at_char(text, self.limits.max_value_bytes)
    }
}

/// At most `max` bytes from the front of `text`, never half a character.
fn cut_at_char(text: &[u8], max: usize) -> &[u8] {
    let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let at = (0..=max.min(text.len())).rev().take(4).find(is_boundary);
    &text[..at.unwrap_or(max.min(text.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut_at_char("abcdef".as_bytes(), 4), b"abcd");
        assert_eq!(cut_at_char("ab€".as_bytes(), 4), b"ab");
        assert_eq!(cut_at_char("ab€".as_bytes(), 5), "ab€".as_bytes());
        assert_eq!(cut_at_char("🦀🦀".as_bytes(), 7), "🦀".as_bytes());
        assert_eq!(cut_at_char(&[0x80; 10], 6), &[0x80; 6], "no boundary to be found");
    }
}
