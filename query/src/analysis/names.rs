//! Text columns as small numbers: equal texts get equal numbers, so that rows are grouped by integers.
//!
//! A string view holds a short text itself and says of a longer one where it lies, so equal views of one array are
//! equal texts. Columns that a Parquet dictionary stands behind repeat a few views, and most rows are numbered by
//! comparing 16 bytes with those of the row before, or by a look into a small table of views; the text itself is
//! only read when both fail.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use model::{Error, Result};

use super::batch::column;

/// The number of null.
pub const NONE: u32 = 0;
/// Stands for null among views: no text is so long.
const NULL_VIEW: u128 = u128::MAX;
/// Views remembered for each column of a batch.
const REMEMBERED: usize = 256;

/// Texts and their numbers, from 1 on.
#[derive(Debug, Clone)]
pub struct Names {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    bytes: usize,
}

impl Default for Names {
    fn default() -> Self {
        Names { numbers: HashMap::new(), texts: vec!["".into()], bytes: 0 }
    }
}

impl Names {
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.bytes += 2 * text.len() + 96;
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    /// Without giving it a number.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The number here of a text that has one in `other`.
    pub fn number_of(&mut self, other: &Names, number: u32) -> u32 {
        if number == NONE { NONE } else { self.number(other.text(number)) }
    }

    /// Empty for [`NONE`].
    pub fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    pub fn some_text(&self, number: u32) -> Option<&str> {
        Some(self.text(number)).filter(|text| !text.is_empty())
    }

    /// From 1 on.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().skip(1).map(AsRef::as_ref)
    }

    /// For each number of `other` the number of its text here.
    pub fn take_in(&mut self, other: &Names) -> Vec<u32> {
        let others = other.texts.iter().skip(1);
        std::iter::once(NONE).chain(others.map(|text| self.number(text))).collect()
    }

    /// Bytes held, about.
    pub fn size(&self) -> usize {
        self.bytes
    }
}

/// A text column of one batch.
pub struct TextColumn<'a> {
    array: &'a StringViewArray,
    last: (u128, u32),
    remembered: Vec<(u128, u32)>,
}

impl<'a> TextColumn<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let array = column(batch, name)?.as_string_view_opt();
        let array = array.ok_or_else(|| Error::internal(format!("{name} is not a column of text")))?;
        Ok(TextColumn { array, last: (NULL_VIEW, NONE), remembered: Vec::new() })
    }

    /// What stands for the text of a row within this batch.
    fn view(&self, row: usize) -> u128 {
        if self.array.is_null(row) { NULL_VIEW } else { self.array.views()[row] }
    }

    /// `None` for null.
    pub fn text(&self, row: usize) -> Option<&'a str> {
        (!self.array.is_null(row)).then(|| self.array.value(row))
    }

    /// Marks the rows with another text than the row before.
    pub fn mark_changes(&self, changed: &mut [bool]) {
        if self.is_all_null() {
            return;
        }
        let changed = changed.iter_mut().skip(1);
        if self.array.null_count() == 0 {
            // Without a look at each row for null, 16 bytes at a time.
            changed.zip(self.array.views().windows(2)).for_each(|(changed, pair)| *changed |= pair[0] != pair[1]);
        } else {
            (0..).zip(changed).for_each(|(row, changed)| *changed |= self.view(row) != self.view(row + 1));
        }
    }

    pub fn is_all_null(&self) -> bool {
        self.array.null_count() == self.array.len()
    }

    pub fn number(&mut self, row: usize, names: &mut Names) -> u32 {
        let view = self.view(row);
        if view == self.last.0 {
            return self.last.1;
        }
        if self.remembered.is_empty() {
            self.remembered = vec![(NULL_VIEW, NONE); REMEMBERED];
        }
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4) of both halves.
        let mixed = (view as u64 ^ (view >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.remembered[(mixed >> 56) as usize];
        if place.0 != view {
            let number = if view == NULL_VIEW { NONE } else { names.number(self.array.value(row)) };
            *place = (view, number);
        }
        self.last = *place;
        place.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringViewBuilder};

    #[test]
    fn equal_texts_have_equal_numbers_wherever_they_lie() {
        let long = "a name that does not fit into a view";
        let texts = [Some("short"), None, Some(long), Some("short"), Some(long), Some(""), None];
        let mut builder = StringViewBuilder::new();
        texts.iter().for_each(|text| builder.append_option(*text));
        let batch = RecordBatch::try_from_iter([("c", Arc::new(builder.finish()) as ArrayRef)]).expect("a batch");
        let (mut names, mut column) = (Names::default(), TextColumn::of(&batch, "c").expect("text"));
        let numbers: Vec<u32> = (0..texts.len()).map(|row| column.number(row, &mut names)).collect();
        assert_eq!(numbers, [1, NONE, 2, 1, 2, 3, NONE]);
        assert_eq!((names.text(2), names.text(NONE), names.some_text(3)), (long, "", None));
        let mut others = Names::default();
        others.number(long);
        assert_eq!(others.take_in(&names), [NONE, 2, 1, 3]);
    }

    #[test]
    fn changes_are_where_a_text_differs_from_the_one_before() {
        let long = "a name that does not fit into a view";
        let marked = |texts: &[Option<&str>]| {
            let array: StringViewArray = texts.iter().collect();
            let batch = RecordBatch::try_from_iter([("c", Arc::new(array) as ArrayRef)]).expect("a batch");
            let mut changed = vec![false; texts.len()];
            TextColumn::of(&batch, "c").expect("text").mark_changes(&mut changed);
            (0..texts.len()).filter(|row| changed[*row]).collect::<Vec<_>>()
        };
        assert_eq!(marked(&[Some("a"), Some("a"), Some("b"), Some("b")]), [2]);
        assert_eq!(marked(&[Some("a"), None, None, Some("a"), Some(""), None]), [1, 3, 4, 5]);
        assert_eq!(marked(&[None, None, None]), [0; 0]);
        assert!(marked(&[Some("a"), Some(long)]).contains(&1));
        assert_eq!(marked(&[]), [0; 0]);
    }
}
