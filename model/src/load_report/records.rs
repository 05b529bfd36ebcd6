//! Logs record by record. A record that cannot be read is an error, unless it is the last: then the generator was ended
//! while it wrote, and what stands before it counts.

use std::io::{self, BufRead, Read};

use serde_json::Value;

use crate::{Error, Result};

/// A line longer than this is no line of a log.
const LONGEST: u64 = 16 << 20;
/// A summary is far smaller.
const LARGEST: u64 = 64 << 20;

pub fn unreadable(error: io::Error) -> Error {
    Error::invalid(format!("reading the file: {error}"))
}

/// Gives every line that is not empty to `take`. What it answers is a note about a file that is cut.
pub fn lines(input: &mut dyn BufRead, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<Option<String>> {
    let (mut line, mut number, mut last) = (Vec::new(), 0_u64, Last::default());
    loop {
        line.clear();
        let read = (&mut *input).take(LONGEST).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            return last.end();
        }
        number += 1;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        // The fields of some logs are separated by blanks, and the last may be empty.
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        last.next(number, take(text))?;
    }
}

/// Gives every row of a CSV file to `take`, with the number of its line.
pub fn rows<R: Read>(
    reader: &mut csv::Reader<R>,
    mut take: impl FnMut(&csv::ByteRecord) -> Result<()>,
) -> Result<Option<String>> {
    let (mut row, mut last) = (csv::ByteRecord::new(), Last::default());
    loop {
        let is_row = reader.read_byte_record(&mut row).map_err(|e| Error::invalid(format!("reading the file: {e}")))?;
        if !is_row {
            return last.end();
        }
        let number = row.position().map_or(0, csv::Position::line);
        last.next(number, take(&row))?;
    }
}

/// The record before this one, if it could not be read.
#[derive(Default)]
struct Last {
    broken: Option<Error>,
    good: u64,
    number: u64,
}

impl Last {
    fn next(&mut self, number: u64, taken: Result<()>) -> Result<()> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        self.number = number;
        match taken {
            Ok(()) => self.good += 1,
            Err(error) => self.broken = Some(error.context(format!("line {number}"))),
        }
        Ok(())
    }

    fn end(self) -> Result<Option<String>> {
        match self.broken {
            // Two, since the first may be a head.
            Some(error) if self.good < 2 => Err(error),
            Some(_) => Ok(Some(format!("the file ends in the middle of line {}, which is left out", self.number))),
            None => Ok(None),
        }
    }
}

/// A file that is one JSON document.
pub fn document(input: &mut dyn BufRead) -> Result<Value> {
    let mut text = Vec::new();
    let read = input.take(LARGEST).read_to_end(&mut text).map_err(unreadable)?;
    if read as u64 == LARGEST {
        return Err(Error::invalid("the file is too large to be a summary"));
    }
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    serde_json::from_slice(text).map_err(|error| match error.is_eof() {
        true => Error::invalid("the file is cut: its JSON has no end").hint("export it again"),
        false => Error::invalid(format!("the file is not JSON: {error}")),
    })
}
