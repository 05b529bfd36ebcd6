//! JSON text of attributes, written straight into one buffer. The format is that of `model::attr`.
//!
//! Text from the wire is copied unchecked and checked as a whole when the row is finished ([`JsonText::as_str`]):
//! quotes and brackets are ASCII, so pieces cannot join into characters that were not there. When the check fails
//! the row is read again with [`JsonText::lossy`] set.
//!
//! *Invariant:* between two calls the buffer holds complete values; a repeated key leaves dead text behind, which is
//! cut out when its object is closed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::attr;
use xxhash_rust::xxh3::xxh3_64;

use super::report::Anomalies;

/// One key with its value inside an object that is still open.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    start: u32,
    /// Where the value starts: the key's text lies between.
    value: u32,
    /// Behind the comma. 0 while the value is being written.
    end: u32,
    live: bool,
}

#[derive(Debug)]
struct Open {
    start: usize,
    /// The first entry of this object; `None` for an array.
    entries: Option<usize>,
    has_dead: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    len: usize,
    entries: usize,
    open: usize,
}

#[derive(Debug, Default)]
pub(super) struct JsonText {
    out: Vec<u8>,
    entries: Vec<Entry>,
    open: Vec<Open>,
    pub lossy: bool,
    pub anomalies: Anomalies,
    scratch: String,
}

impl JsonText {
    /// Forgets all text; keeps the buffers.
    pub fn clear(&mut self) {
        self.out.clear();
        self.entries.clear();
        self.open.clear();
        self.anomalies = Anomalies::NONE;
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Everything written, or `None` when some of it is not UTF-8.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.out).ok()
    }

    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// A place to which [`JsonText::rollback`] returns.
    pub fn mark(&self) -> Mark {
        Mark { len: self.out.len(), entries: self.entries.len(), open: self.open.len() }
    }

    /// Forgets what was written since `mark`, complete or not.
    pub fn rollback(&mut self, mark: Mark) {
        self.out.truncate(mark.len);
        self.entries.truncate(mark.entries);
        self.open.truncate(mark.open);
    }

    pub fn open_object(&mut self) {
        self.open.push(Open { start: self.out.len(), entries: Some(self.entries.len()), has_dead: false });
        self.out.push(b'{');
    }

    pub fn open_array(&mut self) {
        self.open.push(Open { start: self.out.len(), entries: None, has_dead: false });
        self.out.push(b'[');
    }

    /// Closes the innermost array or object. `guard` adds the `@` by which a kvlist is told from a marked value.
    pub fn close(&mut self, guard: bool) {
        let Some(open) = self.open.pop() else { return };
        let Some(first) = open.entries else { return self.end(b']') };
        if open.has_dead {
            self.cut_dead(first);
        }
        if guard && self.entries.len() == first + 1 {
            self.guard_marker(first);
        }
        self.entries.truncate(first);
        self.end(b'}');
    }

    /// Entries of the innermost object so far.
    pub fn entries(&self) -> usize {
        self.open.last().and_then(|open| open.entries).map_or(0, |first| self.entries.len() - first)
    }

    /// Whether the innermost array has no element yet.
    pub fn is_empty_array(&self) -> bool {
        self.open.last().is_some_and(|open| open.start + 1 == self.out.len())
    }

    /// Starts an entry of the innermost object; an earlier one with the same key dies.
    #[inline]
    pub fn key(&mut self, key: &[u8]) {
        let start = self.out.len();
        self.string(key);
        self.out.push(b':');
        let hash = xxh3_64(&self.out[start..]);
        let first = self.open.last().and_then(|open| open.entries).unwrap_or_default();
        if self.entries[first..].iter().any(|entry| entry.hash == hash && entry.live) {
            self.kill_same_key(first, hash, start);
        }
        self.entries.push(Entry { hash, start: start as u32, value: self.out.len() as u32, end: 0, live: true });
    }

    /// Removes the entry `key` of the innermost object; true when there was one.
    pub fn kill(&mut self, key: &[u8]) -> bool {
        let start = self.out.len();
        self.string(key);
        self.out.push(b':');
        let first = self.open.last().and_then(|open| open.entries).unwrap_or_default();
        let hash = xxh3_64(&self.out[start..]);
        let killed = self.kill_same_key(first, hash, start);
        self.out.truncate(start);
        killed
    }

    /// `self.out[start..]` is the key's text as it would be written.
    #[cold]
    fn kill_same_key(&mut self, first: usize, hash: u64, start: usize) -> bool {
        let (before, key) = self.out.split_at(start);
        for entry in &mut self.entries[first..] {
            let same = entry.hash == hash && &before[entry.start as usize..entry.value as usize] == key;
            if same && entry.live {
                entry.live = false;
                self.anomalies.add(Anomalies::DUPLICATE_KEY);
                if let Some(open) = self.open.last_mut() {
                    open.has_dead = true;
                }
                return true;
            }
        }
        false
    }

    /// Ends an element of an array.
    #[inline]
    pub fn end_element(&mut self) {
        self.out.push(b',');
    }

    /// Ends the entry that [`JsonText::key`] started last in the innermost object.
    #[inline]
    pub fn end_entry(&mut self) {
        self.out.push(b',');
        let end = self.out.len() as u32;
        if let Some(entry) = self.entries.last_mut() {
            entry.end = end;
        }
    }

    /// Ends whatever is open innermost: an element or an entry.
    pub fn end_value(&mut self) {
        match self.open.last() {
            Some(Open { entries: Some(_), .. }) => self.end_entry(),
            Some(_) => self.end_element(),
            None => {}
        }
    }

    pub fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline]
    pub fn int(&mut self, value: i64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut left = value.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if value < 0 {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    pub fn double(&mut self, value: f64) {
        self.scratch.clear();
        attr::write_double(&mut self.scratch, value);
        self.out.extend_from_slice(self.scratch.as_bytes());
    }

    pub fn bytes(&mut self, value: &[u8]) {
        self.out.extend_from_slice(br#"{"@bytes":""#);
        self.scratch.clear();
        STANDARD.encode_string(value, &mut self.scratch);
        self.out.extend_from_slice(self.scratch.as_bytes());
        self.out.extend_from_slice(br#""}"#);
    }

    #[inline]
    pub fn string(&mut self, value: &[u8]) {
        if self.lossy {
            return self.string_lossy(value);
        }
        if is_plain(value) {
            self.out.push(b'"');
            self.out.extend_from_slice(value);
            self.out.push(b'"');
        } else {
            self.string_escaped(value);
        }
    }

    #[cold]
    fn string_lossy(&mut self, value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            self.anomalies.add(Anomalies::INVALID_UTF8);
        }
        self.scratch.clear();
        attr::write_string(&mut self.scratch, &text);
        self.out.extend_from_slice(self.scratch.as_bytes());
    }

    fn string_escaped(&mut self, value: &[u8]) {
        // Invalid text is copied as it is: the row is read again, lossily, once the check has failed.
        let Ok(text) = std::str::from_utf8(value) else {
            self.out.push(b'"');
            self.out.extend_from_slice(value);
            self.out.push(b'"');
            return;
        };
        self.scratch.clear();
        attr::write_string(&mut self.scratch, text);
        self.out.extend_from_slice(self.scratch.as_bytes());
    }

    /// Replaces the last comma by `bracket`, or appends it when nothing is inside.
    fn end(&mut self, bracket: u8) {
        match self.out.last_mut() {
            Some(comma) if *comma == b',' => *comma = bracket,
            _ => self.out.push(bracket),
        }
    }

    fn cut_dead(&mut self, first: usize) {
        let Some(mut to) = self.entries.get(first).map(|entry| entry.start as usize) else { return };
        let mut kept = first;
        for index in first..self.entries.len() {
            let entry = self.entries[index];
            if !entry.live {
                continue;
            }
            let (start, end) = (entry.start as usize, entry.end as usize);
            self.out.copy_within(start..end, to);
            let moved = (start - to) as u32;
            self.entries[kept] =
                Entry { start: entry.start - moved, value: entry.value - moved, end: entry.end - moved, ..entry };
            kept += 1;
            to += end - start;
        }
        self.entries.truncate(kept);
        self.out.truncate(to);
    }

    /// `{"@bytes":…}` as a kvlist becomes `{"@@bytes":…}`.
    fn guard_marker(&mut self, only: usize) {
        let entry = self.entries[only];
        let (start, value) = (entry.start as usize, entry.value as usize);
        let key = &self.out[start + 1..value - 2];
        let word = key.iter().position(|byte| *byte != b'@').map(|at| key.split_at(at));
        if let Some((marks, b"bytes" | b"double")) = word
            && !marks.is_empty()
        {
            self.out.insert(start + 1, b'@');
        }
    }
}

/// Whether `value` stands in JSON as it is: no quote, no backslash, no control character.
#[inline]
fn is_plain(value: &[u8]) -> bool {
    let (words, rest) = value.as_chunks::<8>();
    let mut special = 0u64;
    for word in words {
        special |= special_bytes(u64::from_le_bytes(*word));
    }
    if special != 0 {
        return false;
    }
    match value.last_chunk::<8>() {
        Some(tail) => special_bytes(u64::from_le_bytes(*tail)) == 0,
        None => rest.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\'),
    }
}

/// High bits at bytes that need an escape. Source: "Bit Twiddling Hacks" (S. E. Anderson), hasless and haszero.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let less = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    (less(word, 0x20) | less(quote, 1) | less(backslash, 1)) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(fill: impl FnOnce(&mut JsonText)) -> String {
        let mut text = JsonText::default();
        text.open_object();
        fill(&mut text);
        text.close(true);
        text.as_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn plain_means_that_the_contract_writes_the_same() {
        for len in 0..20 {
            for special in [b'"', b'\\', 0x1f, 0, b' ', b'!', 0x7f, b'a'] {
                for at in 0..len {
                    let mut value = vec![b'x'; len];
                    value[at] = special;
                    let mut expected = String::new();
                    attr::write_string(&mut expected, std::str::from_utf8(&value).expect("ASCII"));
                    assert_eq!(is_plain(&value), expected.len() == len + 2, "{value:?}");
                }
            }
        }
        assert!(is_plain("日本語のテキスト".as_bytes()));
    }

    #[test]
    fn of_a_repeated_key_the_last_one_wins_wherever_it_stands() {
        let text = object(|text| {
            for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("c", 5)] {
                text.key(key.as_bytes());
                text.int(value);
                text.end_entry();
            }
        });
        assert_eq!(text, r#"{"b":2,"a":3,"c":5}"#);
    }

    #[test]
    fn ints_are_written_to_the_last_digit() {
        for value in [0, 7, -1, i64::MAX, i64::MIN, 1_000_000] {
            let mut text = JsonText::default();
            text.int(value);
            assert_eq!(text.as_str(), Some(value.to_string().as_str()));
        }
    }

    #[test]
    fn only_a_lone_marker_key_is_guarded() {
        let with = |keys: &[&str]| {
            object(|text| {
                for key in keys {
                    text.key(key.as_bytes());
                    text.null();
                    text.end_entry();
                }
            })
        };
        assert_eq!(with(&["@bytes"]), r#"{"@@bytes":null}"#);
        assert_eq!(with(&["@@double"]), r#"{"@@@double":null}"#);
        assert_eq!(with(&["@other"]), r#"{"@other":null}"#);
        assert_eq!(with(&["bytes"]), r#"{"bytes":null}"#);
        assert_eq!(with(&["@bytes", "@double"]), r#"{"@bytes":null,"@double":null}"#);
        assert_eq!(with(&["@bytes", "@bytes"]), r#"{"@@bytes":null}"#, "one key is left");
        assert_eq!(with(&[]), "{}");
    }
}
