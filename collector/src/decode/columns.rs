//! Column builders: Arrow's, with nulls that cost nothing until a value follows.
//!
//! Most of a table's columns are null in most rows. A column therefore only counts the nulls it owes and writes them
//! when a value comes; one that never gets a value is made at the end in one piece.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    Array, ArrayBuilder, ArrayRef, BooleanBuilder, FixedSizeBinaryArray, Float64Builder, Int32Builder, Int64Array,
    Int64Builder, ListArray, StringViewBuilder, StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::report::Anomalies;

type Made<T> = Result<T, ArrowError>;

/// A Utf8View column.
#[derive(Debug)]
pub(super) struct Texts {
    values: StringViewBuilder,
    owed: usize,
    rows: usize,
    block: u32,
}

/// Unused bytes of a column that are worth a copy of the used ones: a batch may be held for seconds.
const SLACK: usize = 2048;

impl Texts {
    /// `block` is the size of a block for strings that do not fit into a view.
    pub fn new(block: usize) -> Self {
        Self::with_rows(block, 0)
    }

    /// Like [`Texts::new`], with room for `rows` once there is a value.
    pub fn with_rows(block: usize, rows: usize) -> Self {
        Texts { values: StringViewBuilder::new(), owed: 0, rows, block: block.clamp(256, 1 << 20) as u32 }
    }

    #[inline]
    pub fn push(&mut self, value: &str) {
        self.settle();
        self.values.append_value(value);
    }

    #[inline]
    pub fn push_null(&mut self) {
        self.owed += 1;
    }

    #[inline]
    pub fn push_option(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.push(value),
            None => self.owed += 1,
        }
    }

    /// Empty text is null.
    #[inline]
    pub fn push_non_empty(&mut self, value: &str) {
        self.push_option(Some(value).filter(|value| !value.is_empty()));
    }

    /// The same value `n` times, stored once.
    pub fn push_n(&mut self, value: Option<&str>, n: usize) -> Made<()> {
        let Some(value) = value else {
            self.owed += n;
            return Ok(());
        };
        self.rows = self.rows.max(self.owed + n);
        self.settle();
        self.values.try_append_value_n(value, n)
    }

    /// Nulls up to `len` rows.
    #[inline]
    pub fn fill_to(&mut self, len: usize) {
        self.owed = len.saturating_sub(self.values.len());
    }

    #[inline]
    fn settle(&mut self) {
        if self.values.is_empty() {
            // The first value: until now the column cost nothing.
            let rows = self.rows.max(self.owed + 1);
            self.values = StringViewBuilder::with_capacity(rows).with_fixed_block_size(self.block);
        }
        if self.owed > 0 {
            (0..self.owed).for_each(|_| self.values.append_null());
            self.owed = 0;
        }
    }

    pub fn finish(mut self, nulls: &mut Nulls) -> ArrayRef {
        if self.values.is_empty() {
            return nulls.column(&DataType::Utf8View, self.owed);
        }
        self.settle();
        let values = self.values.finish();
        let (mut used, mut held) = (0, 0);
        for block in values.data_buffers() {
            (used, held) = (used + block.len(), held + block.capacity());
        }
        Arc::new(if held - used > SLACK.max(used / 2) { values.gc() } else { values })
    }
}

/// Columns without any value. Those of one type and length are one array, so that a batch does not pay for the many
/// columns that it does not use.
#[derive(Debug, Default)]
pub(super) struct Nulls {
    nulls: Vec<ArrayRef>,
    zeros: Option<ArrayRef>,
}

impl Nulls {
    pub fn column(&mut self, ty: &DataType, len: usize) -> ArrayRef {
        if let Some(made) = self.nulls.iter().find(|made| made.data_type() == ty && made.len() == len) {
            return made.clone();
        }
        let made = new_null_array(ty, len);
        self.nulls.push(made.clone());
        made
    }

    fn zeros(&mut self, len: usize) -> ArrayRef {
        match &self.zeros {
            Some(made) if made.len() == len => made.clone(),
            _ => {
                let made = dense(vec![0; len]);
                self.zeros = Some(made.clone());
                made
            }
        }
    }
}

macro_rules! numbers {
    ($name:ident, $builder:ty, $native:ty, $ty:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug)]
        pub(super) struct $name {
            values: $builder,
            owed: usize,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { values: <$builder>::with_capacity(0), owed: 0 }
            }
        }

        #[allow(dead_code, reason = "not every type of number needs every way to append")]
        impl $name {
            #[inline]
            pub fn push(&mut self, value: $native) {
                self.settle();
                self.values.append_value(value);
            }

            #[inline]
            pub fn push_null(&mut self) {
                self.owed += 1;
            }

            #[inline]
            pub fn push_option(&mut self, value: Option<$native>) {
                match value {
                    Some(value) => self.push(value),
                    None => self.owed += 1,
                }
            }

            pub fn push_n(&mut self, value: Option<$native>, n: usize) {
                match value {
                    Some(value) => (0..n).for_each(|_| self.push(value)),
                    None => self.owed += n,
                }
            }

            /// Nulls up to `len` rows.
            #[inline]
            pub fn fill_to(&mut self, len: usize) {
                self.owed = len.saturating_sub(self.values.len());
            }

            #[inline]
            fn settle(&mut self) {
                if self.owed > 0 {
                    self.values.append_nulls(self.owed);
                    self.owed = 0;
                }
            }

            pub fn finish(mut self, nulls: &mut Nulls) -> ArrayRef {
                if self.values.is_empty() {
                    return nulls.column(&$ty, self.owed);
                }
                self.settle();
                Arc::new(self.values.finish())
            }
        }
    };
}

numbers!(Ints, Int64Builder, i64, DataType::Int64, "An Int64 column.");
numbers!(Ints32, Int32Builder, i32, DataType::Int32, "An Int32 column.");
numbers!(Doubles, Float64Builder, f64, DataType::Float64, "A Float64 column.");
numbers!(Bools, BooleanBuilder, bool, DataType::Boolean, "A Boolean column.");

/// An Int64 column without nulls.
pub(super) fn dense(mut values: Vec<i64>) -> ArrayRef {
    if values.capacity() - values.len() > values.len() / 4 {
        values.shrink_to_fit();
    }
    Arc::new(Int64Array::new(ScalarBuffer::from(values), None))
}

/// An Int64 column without nulls that is nearly always zero throughout: then it is the same array for all such columns.
pub(super) fn counts(values: Vec<i64>, nulls: &mut Nulls) -> ArrayRef {
    if values.iter().all(|value| *value == 0) { nulls.zeros(values.len()) } else { dense(values) }
}

/// A column of ids, `N` bytes each.
#[derive(Debug)]
pub(super) struct Ids<const N: usize> {
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl<const N: usize> Default for Ids<N> {
    fn default() -> Self {
        Ids { bytes: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<const N: usize> Ids<N> {
    pub fn with_rows(rows: usize) -> Self {
        Ids { bytes: Vec::with_capacity(rows * N), nulls: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub fn push(&mut self, id: &[u8; N]) {
        self.bytes.extend_from_slice(id);
        self.nulls.append_non_null();
    }

    #[inline]
    pub fn push_option(&mut self, id: Option<&[u8; N]>) {
        match id {
            Some(id) => self.push(id),
            None => {
                self.bytes.extend_from_slice(&[0; N]);
                self.nulls.append_null();
            }
        }
    }

    pub fn finish(mut self) -> Made<ArrayRef> {
        Ok(Arc::new(FixedSizeBinaryArray::try_new(N as i32, self.bytes.into(), self.nulls.finish())?))
    }
}

/// The offsets of a list column; its values grow elsewhere. An empty list is null.
#[derive(Debug)]
pub(super) struct Lists {
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Empty lists not yet written.
    owed: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Lists { ends: vec![0], nulls: NullBufferBuilder::new(0), owed: 0 }
    }
}

impl Lists {
    /// Ends a row's list of `len` values.
    #[inline]
    pub fn push(&mut self, len: usize) {
        if len == 0 {
            self.owed += 1;
            return;
        }
        self.settle();
        let end = self.ends.last().copied().unwrap_or_default();
        self.ends.push(end + len as i32);
        self.nulls.append_non_null();
    }

    fn settle(&mut self) {
        let end = self.ends.last().copied().unwrap_or_default();
        self.ends.extend(std::iter::repeat_n(end, self.owed));
        self.nulls.append_n_nulls(self.owed);
        self.owed = 0;
    }

    pub fn finish(mut self, values: ArrayRef) -> Made<ArrayRef> {
        self.settle();
        let element = Arc::new(Field::new("element", values.data_type().clone(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Ok(Arc::new(ListArray::try_new(element, offsets, values, self.nulls.finish())?))
    }

    /// A list of structs, whose columns are given.
    pub fn finish_structs(self, fields: Fields, columns: Vec<ArrayRef>) -> Made<ArrayRef> {
        let len = columns.first().map_or(0, |column| column.len());
        let structs = StructArray::try_new_with_length(fields, columns, None::<NullBuffer>, len)?;
        self.finish(Arc::new(structs))
    }
}

/// Texts of anomalies; null where there are none.
#[derive(Debug)]
pub(super) struct AnomalyTexts {
    texts: Texts,
    scratch: String,
}

impl AnomalyTexts {
    pub fn new() -> Self {
        AnomalyTexts { texts: Texts::new(1024), scratch: String::new() }
    }

    #[inline]
    pub fn push(&mut self, anomalies: Anomalies) {
        if anomalies.is_empty() {
            return self.texts.push_null();
        }
        self.scratch.clear();
        anomalies.write(&mut self.scratch);
        self.texts.push(&self.scratch);
    }

    pub fn finish(self, nulls: &mut Nulls) -> ArrayRef {
        self.texts.finish(nulls)
    }
}
