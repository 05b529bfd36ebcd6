//! Which rows of a column chunk hold one value, by the number that stands for it in the chunk's dictionary.
//!
//! A dictionary names each value once and pages say which of them each row has, as runs and bit-packed numbers (Parquet
//! format, "Dictionary Encoding" and "RLE / Bit-Packing Hybrid"). Where a dictionary became too large the last pages hold
//! values as they are. *Invariant:* `None` for anything that is not understood, never a wrong row.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

/// The bytes of one column chunk, from `start` on in the file.
pub struct Chunk {
    pub start: u64,
    pub bytes: Bytes,
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let rest = self.from(start)?;
        if length > rest.len() {
            return Err(outside());
        }
        Ok(rest.slice(..length))
    }
}

impl Chunk {
    fn from(&self, start: u64) -> Result<Bytes> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len()).ok_or_else(outside)?;
        Ok(self.bytes.slice(at..))
    }
}

fn outside() -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::EOF("a page lies outside its column".to_owned())
}

/// The rows found among those that were passed.
#[derive(Debug, Default)]
pub struct Rows {
    passed: usize,
    found: Vec<Range<usize>>,
}

impl Rows {
    /// The next `rows` rows have the value or they do not.
    pub fn pass(&mut self, rows: usize, have_it: bool) {
        let next = self.passed..self.passed + rows;
        self.passed = next.end;
        if !have_it || next.is_empty() {
            return;
        }
        match self.found.last_mut() {
            Some(last) if last.end == next.start => last.end = next.end,
            _ => self.found.push(next),
        }
    }

    /// The next `rows` rows, of which these have the value, in their order.
    fn pass_some(&mut self, rows: usize, have_it: impl Iterator<Item = usize>) {
        let first = self.passed;
        for at in have_it {
            self.passed = first + at;
            self.pass(1, true);
        }
        self.passed = first + rows;
    }

    #[cfg(test)]
    pub fn passed(&self) -> usize {
        self.passed
    }

    pub fn found(self) -> Vec<Range<usize>> {
        self.found
    }
}

/// Passes the rows of the group, whose column at `at` is the `chunk`. `None` when it does not number its values or has
/// nulls; what was passed until then is of no use.
pub fn find(chunk: Chunk, group: &RowGroupMetaData, at: usize, value: &[u8], rows: &mut Rows) -> Result<Option<()>> {
    let column = group.column(at);
    let described = column.column_descr();
    let is_plain = described.max_def_level() == 0 && described.max_rep_level() == 0;
    let length = usize::try_from(described.type_length()).unwrap_or(0);
    if !is_plain || described.physical_type() != Type::FIXED_LEN_BYTE_ARRAY || length != value.len() || length == 0 {
        return Ok(None);
    }
    let total = usize::try_from(group.num_rows()).unwrap_or(0);
    let end = rows.passed + total;
    let mut pages = SerializedPageReader::new(Arc::new(chunk), column, total, None)?;
    let mut number = None;
    while let Some(page) = pages.get_next_page()? {
        let understood = match &page {
            Page::DictionaryPage { buf, encoding: Encoding::PLAIN | Encoding::PLAIN_DICTIONARY, .. } => {
                let mut places = (0..).zip(buf.chunks_exact(length)).filter(|(_, known)| *known == value);
                number = places.next().map(|(place, _)| place);
                // Values are different; where they are not, one number does not find all rows.
                places.next().is_none().then_some(())
            }
            Page::DictionaryPage { .. } => None,
            Page::DataPage { buf, num_values, encoding, .. } | Page::DataPageV2 { buf, num_values, encoding, .. } => {
                let count = *num_values as usize;
                match encoding {
                    Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => numbered(buf, count, number, rows),
                    Encoding::PLAIN if buf.len() >= count.saturating_mul(length) => {
                        let known = (0..).zip(buf.chunks_exact(length).take(count));
                        rows.pass_some(count, known.filter(|(_, known)| *known == value).map(|(at, _)| at));
                        Some(())
                    }
                    _ => None,
                }
            }
        };
        if understood.is_none() {
            return Ok(None);
        }
    }
    Ok((rows.passed == end).then_some(()))
}

/// Passes the `count` rows of one page of numbers.
pub(super) fn numbered(page: &[u8], count: usize, number: Option<u32>, rows: &mut Rows) -> Option<()> {
    let Some(number) = number else {
        rows.pass(count, false);
        return Some(());
    };
    let (width, mut rest) = page.split_first()?;
    let width = usize::from(*width);
    if width > 32 {
        return None;
    }
    let mut left = count;
    while left > 0 {
        let header = varint(&mut rest)?;
        let length = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let (value, after) = rest.split_at_checked(width.div_ceil(8))?;
            rest = after;
            let run = length.min(left);
            rows.pass(run, packed(value, width, 0) == number);
            left -= run;
        } else {
            // The last group is filled up, which some writers leave out of the page.
            let (groups, after) = rest.split_at(length.checked_mul(width)?.min(rest.len()));
            rest = after;
            let there = (groups.len() * 8).checked_div(width).unwrap_or(usize::MAX);
            let run = length.checked_mul(8)?.min(left);
            if there < run {
                return None;
            }
            let found = (0..run).filter(|at| packed(groups, width, *at) == number);
            rows.pass_some(run, found);
            left -= run;
        }
        if length == 0 {
            return None;
        }
    }
    Some(())
}

/// The value at a place among bit-packed ones, least significant bits first.
#[inline]
fn packed(bytes: &[u8], width: usize, at: usize) -> u32 {
    let bit = at * width;
    let word = match bytes.get(bit / 8..bit / 8 + 8) {
        Some(eight) => u64::from_le_bytes(eight.try_into().unwrap_or([0; 8])),
        None => {
            let last = bytes.get(bit / 8..).unwrap_or_default();
            (0..).zip(last).fold(0, |word, (at, byte)| word | u64::from(*byte) << (8 * at))
        }
    };
    ((word >> (bit % 8)) & ((1 << width) - 1)) as u32
}

/// An unsigned LEB128 number.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
