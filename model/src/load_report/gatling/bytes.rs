//! The parts that records of Gatling's binary log are made of. Integers are big-endian.
//!
//! ```text
//!   text     0:i32 | length:i32 bytes coder:u8       coder 0: Latin-1, 1: UTF-16, little-endian on x86-64 and ARM
//!   named    number:i32 text | -number:i32           numbers count from 1; a text follows where it is new
//! ```
//! *Invariants:* no length or number of the file is trusted: memory is taken for bytes that are there, and what is kept
//! of the texts is bounded. Names and messages share their numbers, so messages are kept too, until they are too many.

use std::collections::HashMap;
use std::io::{BufRead, ErrorKind, Read};

use super::super::records;
use crate::Error;

/// Gatling's own buffer is 8 KiB, which no text of it exceeds.
const LONGEST: i32 = 1 << 20;
/// Bytes of a text that are looked at; what is shown of one is far shorter.
const KEPT: usize = 4 << 10;
/// What the texts that are kept may take, and how much of it messages.
const MOST: usize = 64 << 20;
const MOST_MESSAGES: usize = MOST / 2;
/// What a text takes beside its bytes.
const EACH: usize = 64;

/// Why a record could not be read.
pub enum Stop {
    /// The file ends within it.
    Cut,
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Wrong(error)
    }
}

/// What a text is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Name,
    Message,
}

/// The number of a text.
#[derive(Clone, Copy)]
pub struct Number(i32);

pub struct Bytes<'a> {
    input: &'a mut dyn BufRead,
    /// How many were read, and how many before the last part.
    read: u64,
    at: u64,
    raw: Vec<u8>,
    texts: HashMap<i32, Box<str>>,
    /// The highest number, and what is kept.
    last: i32,
    kept: usize,
}

impl<'a> Bytes<'a> {
    pub fn of(input: &'a mut dyn BufRead) -> Self {
        Bytes { input, read: 0, at: 0, raw: Vec::new(), texts: HashMap::new(), last: 0, kept: 0 }
    }

    /// What is wrong with the part that was read last.
    pub fn wrong(&self, what: impl Into<String>) -> Stop {
        Stop::Wrong(Error::invalid(what).context(format!("byte {}", self.at)))
    }

    /// The byte that a record begins with; none at the end of the file.
    pub fn next(&mut self) -> Result<Option<u8>, Stop> {
        match self.part::<1>() {
            Ok([byte]) => Ok(Some(byte)),
            Err(Stop::Cut) => Ok(None),
            Err(wrong) => Err(wrong),
        }
    }

    pub fn int(&mut self) -> Result<i32, Stop> {
        self.part().map(i32::from_be_bytes)
    }

    pub fn long(&mut self) -> Result<i64, Stop> {
        self.part().map(i64::from_be_bytes)
    }

    pub fn flag(&mut self) -> Result<bool, Stop> {
        match self.part()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(self.wrong(format!("{other} where there should be 0 or 1"))),
        }
    }

    /// How many of something there are.
    pub fn number(&mut self, of: &str, most: i32) -> Result<i32, Stop> {
        let number = self.int()?;
        if number < 0 || number > most {
            return Err(self.wrong(format!("{number} {of}; no log has so many")));
        }
        Ok(number)
    }

    /// Passes over bytes that have their length before them.
    pub fn pass(&mut self) -> Result<(), Stop> {
        let length = self.number("bytes", LONGEST)?;
        self.raw(length)
    }

    pub fn text(&mut self) -> Result<String, Stop> {
        let length = self.number("bytes of text", LONGEST)?;
        if length == 0 {
            return Ok(String::new());
        }
        self.raw(length)?;
        let coder = self.part()?;
        let kept = &self.raw[..self.raw.len().min(KEPT)];
        match coder {
            [0] => Ok(latin(kept)),
            [1] if length % 2 == 0 => Ok(utf16(kept)),
            [1] => Err(self.wrong(format!("UTF-16 of {length} bytes, which are not even"))),
            [other] => Err(self.wrong(format!("a text of coder {other}; there are 0 (Latin-1) and 1 (UTF-16)"))),
        }
    }

    /// A text that is written where it is new, and meant by its number from there on.
    pub fn named(&mut self, role: Role) -> Result<Number, Stop> {
        let number = self.int()?;
        if number <= 0 {
            return match number.checked_neg().filter(|number| (1..=self.last).contains(number)) {
                Some(known) => Ok(Number(known)),
                None => Err(self.wrong(format!("the text {number} is meant, there are {} so far", self.last))),
            };
        }
        if self.last.checked_add(1) != Some(number) {
            return Err(self.wrong(format!("the text {number} is new, there are {} so far", self.last)));
        }
        let text = self.text()?;
        self.last = number;
        self.keep(number, text, role)?;
        Ok(Number(number))
    }

    pub fn text_of(&self, number: Number) -> Result<&str, Stop> {
        let forgotten = || self.wrong("a name that was first one of too many messages, which were not kept");
        self.texts.get(&number.0).map(AsRef::as_ref).ok_or_else(forgotten)
    }

    fn keep(&mut self, number: i32, text: String, role: Role) -> Result<(), Stop> {
        let kept = self.kept + text.len() + EACH;
        match role {
            Role::Message if kept > MOST_MESSAGES => return Ok(()),
            Role::Name if kept > MOST => {
                let error = Error::invalid(format!("the names of requests take more than {} MiB", MOST >> 20));
                return Err(error.hint("name requests without their parameters").into());
            }
            _ => {}
        }
        self.kept = kept;
        self.texts.insert(number, text.into());
        Ok(())
    }

    fn part<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (mut part, mut filled) = ([0; N], 0);
        self.at = self.read;
        while filled < N {
            match self.input.read(&mut part[filled..]) {
                Ok(0) => return Err(Stop::Cut),
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(records::unreadable(error).into()),
            }
        }
        self.read += N as u64;
        Ok(part)
    }

    /// So many bytes, into `self.raw`.
    fn raw(&mut self, length: i32) -> Result<(), Stop> {
        self.raw.clear();
        let wanted = u64::from(length.unsigned_abs());
        let read = (&mut *self.input).take(wanted).read_to_end(&mut self.raw).map_err(records::unreadable)? as u64;
        self.read += read;
        if read < wanted { Err(Stop::Cut) } else { Ok(()) }
    }
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| plain(char::from(byte))).collect()
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|unit| plain(unit.unwrap_or(char::REPLACEMENT_CHARACTER))).collect()
}

/// The text log has blanks for these, since they end its fields and lines.
fn plain(char: char) -> char {
    if matches!(char, '\n' | '\r' | '\t') { ' ' } else { char }
}
