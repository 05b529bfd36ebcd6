//! Rows in little memory: how they wait for their file, and how queries see them until then.
//!
//! An export comes from one instance of one service, so most columns of its rows hold one value or a few. As Arrow arrays
//! they take 16 bytes a row and column all the same (Arrow, "Variable-size Binary View Layout"); here such a column is its
//! different values and a byte a row. Whether there are few shows in the first rows, so a column of ids costs next to
//! nothing to look at. *Invariant:* [`Packed::unpacked`] gives the rows that were packed, value by value.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    StringViewBuilder, UInt8Array, new_null_array,
};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Int64Type, SchemaRef};
use model::{Error, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::memory::Counted;
use crate::order::Place;

/// Different values of a column that has so many rows that packing it saves something: at most this many, and at most
/// one in so many rows.
const MOST_VALUES: usize = 254;
const ROWS_A_VALUE: usize = 3;
/// So many values may be different before the rows seen so far decide.
const FIRST_VALUES: usize = 32;
/// What a batch costs besides its buffers, for each column: an array's own structures, and what the allocator rounds up.
/// Measured: 490 rows in 39 columns with values take 87 bytes a row more than their buffers.
const OVERHEAD_A_COLUMN: usize = 590;
/// A block of texts is copied when more than this part of it, one in so many, is not used.
const WASTE: usize = 8;

/// Rows of one batch. Clones share them.
#[derive(Debug, Clone)]
pub struct Packed {
    number: u64,
    schema: SchemaRef,
    rows: usize,
    columns: Arc<[Column]>,
    /// Counts the rows as alive for as long as anybody has them.
    _counted: Option<Arc<Counted>>,
}

#[derive(Debug, Clone)]
enum Column {
    /// As it came.
    Plain(ArrayRef),
    /// The different values, null among them, and the place of each row's.
    Few { values: ArrayRef, places: UInt8Array },
    /// All rows have the one value.
    One(ArrayRef),
}

impl Column {
    fn pack(array: ArrayRef) -> Self {
        if array.is_empty() || array.null_count() == array.len() {
            // A view of one array of nulls for many columns.
            return Column::Plain(array);
        }
        let few = match array.data_type() {
            DataType::Utf8View => few_texts(array.as_string_view()),
            DataType::Int64 => few_numbers(array.as_primitive()),
            _ => None,
        };
        few.unwrap_or_else(|| Column::Plain(fitted(array)))
    }

    /// The arrays that hold its values.
    fn values(&self) -> &ArrayRef {
        match self {
            Column::Plain(values) | Column::One(values) | Column::Few { values, .. } => values,
        }
    }

    /// Where the value of a row is among them.
    fn place(&self, row: usize) -> usize {
        match self {
            Column::Plain(_) => row,
            Column::One(_) => 0,
            Column::Few { places, .. } => usize::from(places.value(row)),
        }
    }

    fn is_without_value(&self) -> bool {
        let values = self.values();
        values.null_count() == values.len()
    }

    fn unpacked(&self, rows: usize, zeros: &mut Option<UInt8Array>) -> Result<ArrayRef> {
        let taken = match self {
            Column::Plain(values) => return Ok(values.clone()),
            Column::Few { values, places } => take(values, places, None),
            Column::One(value) => take(value, zeros.get_or_insert_with(|| vec![0; rows].into()), None),
        };
        taken.map_err(trouble)
    }

    fn is_same(&self, other: &Column) -> bool {
        Arc::ptr_eq(self.values(), other.values())
    }

    fn bytes(&self, seen: &mut Vec<usize>) -> usize {
        let places = match self {
            Column::Few { places, .. } => places.values().inner().capacity(),
            Column::Plain(_) | Column::One(_) => 0,
        };
        if self.is_without_value() { 0 } else { places + buffers(self.values(), seen) }
    }
}

/// Only told apart by, so that it may differ from one run of a simulation to the next.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn trouble(error: arrow::error::ArrowError) -> Error {
    Error::internal(format!("packing rows: {error}"))
}

impl Packed {
    pub fn of(batch: RecordBatch) -> Self {
        Packed::by(batch, Column::pack)
    }

    /// The rows as they are: where they are needed once.
    pub fn plain(batch: RecordBatch) -> Self {
        Packed::by(batch, Column::Plain)
    }

    fn by(batch: RecordBatch, column: impl Fn(ArrayRef) -> Column) -> Self {
        let (schema, columns, rows) = batch.into_parts();
        let columns = columns.into_iter().map(column).collect();
        Packed { number: next_number(), schema, rows, columns, _counted: None }
    }

    /// The same rows, counted as alive until the last clone is gone.
    pub fn counted(self, counted: Counted) -> Self {
        Packed { _counted: Some(Arc::new(counted)), ..self }
    }

    pub fn num_rows(&self) -> usize {
        self.rows
    }

    /// Names these rows with these values: while the process lives no others have the number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// All columns.
    pub fn unpacked(&self) -> Result<RecordBatch> {
        self.project(&(0..self.columns.len()).collect::<Vec<_>>())
    }

    /// Some columns, by their places in the schema.
    pub fn project(&self, columns: &[usize]) -> Result<RecordBatch> {
        let schema = Arc::new(self.schema.project(columns).map_err(trouble)?);
        let mut zeros = None;
        let unpacked = columns.iter().map(|at| self.columns[*at].unpacked(self.rows, &mut zeros));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(schema, unpacked.collect::<Result<_>>()?, &options).map_err(trouble)
    }

    /// Those of the named columns that there are, in the order of the schema.
    pub fn select(&self, names: &[&str]) -> Result<RecordBatch> {
        let wanted = |at: &usize| names.contains(&self.schema.field(*at).name().as_str());
        self.project(&(0..self.columns.len()).filter(wanted).collect::<Vec<_>>())
    }

    /// The same rows with the columns of `new` in the place of those of the same name.
    pub fn with(&self, new: &RecordBatch) -> Self {
        let replaced = |(field, old): (&Arc<Field>, &Column)| match new.column_by_name(field.name()) {
            Some(column) if column.len() == self.rows => Column::pack(column.clone()),
            _ => old.clone(),
        };
        let columns = self.schema.fields().iter().zip(self.columns.iter()).map(replaced).collect();
        Packed { number: next_number(), columns, ..self.clone() }
    }

    /// Whether both are the same columns in memory.
    pub fn is_same(&self, other: &Packed) -> bool {
        self.columns.iter().zip(other.columns.iter()).all(|(a, b)| a.is_same(b))
    }

    /// The value that all rows of a column of whole numbers have, or the first row's.
    pub fn first_number(&self, name: &str) -> Option<i64> {
        let column = &self.columns[self.schema.index_of(name).ok()?];
        let values = column.values().as_primitive_opt::<Int64Type>()?;
        let place = (self.rows > 0).then(|| column.place(0))?;
        values.is_valid(place).then(|| values.value(place))
    }

    /// Whether any row has a value in the column.
    pub fn has_values(&self, name: &str) -> bool {
        self.schema.index_of(name).is_ok_and(|at| !self.columns[at].is_without_value())
    }

    /// The different values of a column by its place in the schema, where they are few: null is one of them if some row
    /// has none. Where no row has one, as many nulls as one likes.
    pub fn distinct(&self, column: usize) -> Option<&ArrayRef> {
        match &self.columns[column] {
            Column::Plain(values) => Some(values).filter(|values| values.null_count() == values.len()),
            Column::Few { values, .. } | Column::One(values) => Some(values),
        }
    }

    /// The rows that have this id in a column of ids.
    pub fn rows_of<const N: usize>(&self, name: &str, id: [u8; N]) -> impl Iterator<Item = usize> {
        let column = self.schema.index_of(name).ok().map(|at| &self.columns[at]);
        let ids = column.and_then(|column| Some((column, column.values().as_fixed_size_binary_opt()?)));
        ids.into_iter().flat_map(move |(column, ids)| {
            let has_id = move |place: usize| {
                ids.is_valid(place) && <[u8; N]>::try_from(ids.value(place)).is_ok_and(|known| known == id)
            };
            (0..self.rows).filter(move |row| has_id(column.place(*row)))
        })
    }

    /// Bytes of the buffers behind the rows, shared ones counted once.
    pub fn bytes(&self) -> usize {
        let mut seen: Vec<usize> = Vec::with_capacity(64);
        let buffers: usize = self.columns.iter().map(|column| column.bytes(&mut seen)).sum();
        buffers + self.columns.len() * OVERHEAD_A_COLUMN
    }
}

/// The rows at `places` as one batch. All batches have the same schema.
pub fn gather(batches: &[Packed], places: &[Place]) -> Result<RecordBatch> {
    let Some(first) = batches.first() else { return Err(Error::internal("rows come from somewhere")) };
    // Only the batches that rows are taken from.
    let (mut used, mut slots): (Vec<&Packed>, Vec<usize>) = (Vec::new(), vec![usize::MAX; batches.len()]);
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(places.len());
    for place in places {
        let slot = &mut slots[place.batch as usize];
        if *slot == usize::MAX {
            *slot = used.len();
            used.push(&batches[place.batch as usize]);
        }
        rows.push((*slot, place.row as usize));
    }
    let mut nulls: HashMap<&DataType, ArrayRef> = HashMap::new();
    let mut columns = Vec::with_capacity(first.columns.len());
    let mut picked: Vec<(usize, usize)> = Vec::with_capacity(places.len());
    for (at, field) in first.schema.fields().iter().enumerate() {
        let packed: Vec<&Column> = used.iter().map(|batch| &batch.columns[at]).collect();
        if packed.iter().all(|column| column.is_without_value()) {
            let made = || new_null_array(field.data_type(), places.len());
            columns.push(nulls.entry(field.data_type()).or_insert_with(made).clone());
            continue;
        }
        let values: Vec<&dyn Array> = packed.iter().map(|column| column.values().as_ref()).collect();
        let are_plain = packed.iter().all(|column| matches!(column, Column::Plain(_)));
        let picks = if are_plain {
            &rows
        } else {
            picked.clear();
            picked.extend(rows.iter().map(|&(slot, row)| (slot, packed[slot].place(row))));
            &picked
        };
        columns.push(interleave(&values, picks).map_err(trouble)?);
    }
    RecordBatch::try_new(Arc::clone(&first.schema), columns).map_err(trouble)
}

/// The places of values among the different ones, by what stands for a value.
struct Distinct<K> {
    keys: Vec<K>,
    /// The row in which each value came first.
    first: Vec<usize>,
    places: Vec<u8>,
}

/// Open addressing (Knuth, The Art of Computer Programming 3, 6.4): one more than a value's place, 0 for none. Twice as
/// many slots as there may be values, and small, since each column of each export begins with empty ones.
type Slots = [u8; 512];

impl<K: Copy + PartialEq> Distinct<K> {
    /// `None` when there are too many. `same` says whether the values of two rows with the same key are the same; where
    /// they are not, the column stays as it is.
    fn of(
        rows: usize,
        key: impl Fn(usize) -> K,
        mixed: impl Fn(K) -> u64,
        same: impl Fn(usize, usize) -> bool,
    ) -> Option<Self> {
        let mut found = Distinct { keys: Vec::new(), first: Vec::new(), places: Vec::with_capacity(rows) };
        let mut slots: Slots = [0; 512];
        let mut last: Option<(K, u8)> = None;
        for row in 0..rows {
            let key = key(row);
            let place = match last {
                Some((known, place)) if known == key => place,
                _ => found.place(&mut slots, key, row, mixed(key))?,
            };
            let first = found.first[usize::from(place)];
            if first != row && !same(first, row) {
                return None;
            }
            last = Some((key, place));
            found.places.push(place);
        }
        Some(found)
    }

    fn place(&mut self, slots: &mut Slots, key: K, row: usize, mixed: u64) -> Option<u8> {
        // Fibonacci hashing: the upper bits.
        let mut slot = (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize;
        while slots[slot] > 0 {
            let place = slots[slot] - 1;
            if self.keys[usize::from(place)] == key {
                return Some(place);
            }
            slot = (slot + 1) % slots.len();
        }
        let most = (FIRST_VALUES + row / ROWS_A_VALUE).min(MOST_VALUES);
        if self.keys.len() >= most {
            return None;
        }
        let place = self.keys.len() as u8;
        slots[slot] = place + 1;
        self.keys.push(key);
        self.first.push(row);
        Some(place)
    }

    fn column(self, rows: usize, values: ArrayRef) -> Option<Column> {
        match self.keys.len() {
            1 => Some(Column::One(values)),
            values_count if values_count * ROWS_A_VALUE > rows.max(ROWS_A_VALUE) => None,
            _ => Some(Column::Few { values, places: self.places.into() }),
        }
    }
}

/// Stands for null among views: no text is so long.
const NULL_VIEW: u128 = u128::MAX;
/// Texts that a view holds itself.
const INLINE: u32 = 12;

/// A short text is its view. A longer one is where it lies, which may be different for equal texts, so it is looked up by 128
/// bits of its hash (XXH3), and its length.
fn few_texts(texts: &StringViewArray) -> Option<Column> {
    let views = texts.views();
    let last = Cell::new((NULL_VIEW, (0, NULL_VIEW)));
    let key = |row: usize| {
        if texts.is_null(row) {
            return (0, NULL_VIEW);
        }
        let view = views[row];
        let length = view as u32;
        if length <= INLINE {
            return (length, view);
        }
        if last.get().0 != view {
            last.set((view, (length, xxh3_128(texts.value(row).as_bytes()))));
        }
        last.get().1
    };
    // Who sends the texts may have made two with one hash.
    let same = |a: usize, b: usize| {
        views[a] == views[b] || texts.is_null(a) || views[a] as u32 <= INLINE || texts.value(a) == texts.value(b)
    };
    let few = Distinct::of(texts.len(), key, |(_, key)| key as u64 ^ (key >> 64) as u64, same)?;
    let values = few.first.iter().map(|row| texts.is_valid(*row).then(|| texts.value(*row)));
    let values: Vec<Option<&str>> = values.collect();
    few.column(texts.len(), Arc::new(in_one_block(&values)))
}

/// Texts with all of their bytes in one block of the size that they need.
fn in_one_block(texts: &[Option<&str>]) -> StringViewArray {
    let long: usize = texts.iter().flatten().map(|text| text.len()).filter(|length| *length > 12).sum();
    let block = u32::try_from(long.max(1)).unwrap_or(u32::MAX);
    let mut builder = StringViewBuilder::with_capacity(texts.len()).with_fixed_block_size(block);
    texts.iter().for_each(|text| builder.append_option(*text));
    builder.finish()
}

fn few_numbers(numbers: &Int64Array) -> Option<Column> {
    // Null is told from the number that stands in its place.
    let key = |row: usize| (numbers.is_valid(row), if numbers.is_valid(row) { numbers.value(row) } else { 0 });
    let few = Distinct::of(numbers.len(), key, |(valid, number)| number as u64 ^ u64::from(valid), |_, _| true)?;
    let value = |row: &usize| numbers.is_valid(*row).then(|| numbers.value(*row));
    let values: Int64Array = few.first.iter().map(value).collect();
    few.column(numbers.len(), Arc::new(values))
}

/// The same values, without room that nobody uses where nobody else holds them.
fn fitted(mut array: ArrayRef) -> ArrayRef {
    let texts = array.as_string_view_opt();
    let block = texts.map(|texts| (texts, texts.data_buffers().iter().map(|buffer| buffer.capacity()).sum::<usize>()));
    // A block of texts is as large as it once grew, whatever of it is used.
    if let Some((texts, held)) = block
        && held > texts.total_buffer_bytes_used() / WASTE * (WASTE + 1)
    {
        return Arc::new(texts.gc());
    }
    array.shrink_to_fit();
    array
}

/// Bytes of the buffers of an array that are not among those `seen`.
fn buffers(array: &ArrayRef, seen: &mut Vec<usize>) -> usize {
    let mut bytes = 0;
    let mut waiting: Vec<ArrayData> = vec![array.to_data()];
    while let Some(data) = waiting.pop() {
        let nulls = data.nulls().map(|n| n.buffer());
        for buffer in data.buffers().iter().chain(nulls) {
            let at = buffer.as_ptr() as usize;
            if !seen.contains(&at) {
                seen.push(at);
                bytes += buffer.capacity();
            }
        }
        waiting.extend(data.child_data().iter().cloned());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::FixedSizeBinaryArray;
    use arrow::datatypes::Schema;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect())
            .expect("a batch")
    }

    fn texts<'t>(rows: usize, text: impl Fn(usize) -> Option<&'t str>) -> ArrayRef {
        Arc::new((0..rows).map(text).collect::<StringViewArray>())
    }

    const LONG: &str = "a text that does not fit into a view";

    /// Columns of every kind: one value, few, few with nulls, many, none, numbers, ids.
    fn rows(rows: usize, salt: usize) -> RecordBatch {
        let many: Vec<String> = (0..rows).map(|row| format!("{LONG} {salt} {row}")).collect();
        let few = [Some("GET"), Some(LONG), None, Some(""), Some("POST")];
        let numbers = |number: &dyn Fn(usize) -> Option<i64>| -> ArrayRef {
            Arc::new((0..rows).map(number).collect::<Int64Array>())
        };
        let ids = FixedSizeBinaryArray::try_from_iter((0..rows).map(|row| ((salt * 1_000 + row) as u64).to_be_bytes()));
        batch(vec![
            ("one", texts(rows, |_| Some(LONG))),
            ("few", texts(rows, |row| few[(row + salt) % 5])),
            ("many", texts(rows, |row| Some(many[row].as_str()))),
            ("none", texts(rows, |_| None)),
            ("received", numbers(&|_| Some(7 + salt as i64))),
            ("code", numbers(&|row| [Some(200), None, Some(0), Some(500)][row % 4])),
            ("start", numbers(&|row| Some((salt * rows + row) as i64 * 1_000_003))),
            ("id", Arc::new(ids.expect("ids")) as ArrayRef),
        ])
    }

    #[test]
    fn what_is_unpacked_is_what_was_packed() {
        for count in [1, 2, 7, 100, 490, 3_000] {
            let plain = rows(count, 3);
            let packed = Packed::of(plain.clone());
            assert_eq!(packed.unpacked().expect("unpacks"), plain, "{count} rows");
            assert_eq!(packed.project(&[6, 1]).expect("unpacks"), plain.project(&[6, 1]).expect("two"), "{count} rows");
            let chosen = packed.select(&["few", "id", "unknown"]).expect("unpacks");
            assert_eq!(chosen, plain.project(&[1, 7]).expect("two"));
            assert_eq!(packed.project(&[]).expect("no column").num_rows(), count);
            assert_eq!((packed.first_number("received"), packed.first_number("many")), (Some(10), None));
            assert_eq!((packed.has_values("few"), packed.has_values("none")), (count > 0, false));
        }
    }

    #[test]
    fn rows_of_one_service_take_a_fraction() {
        // 490 rows: 40 columns of texts, each of them one value or five.
        let columns = ["a"; 40].iter().enumerate().map(|(at, name)| {
            let values = [LONG, "GET", "/api/v1/orders", "OK", "shop"];
            (*name, texts(490, move |row| Some(if at % 2 == 0 { LONG } else { values[row % 5] })))
        });
        let plain = batch(columns.collect());
        let bytes = plain.get_array_memory_size();
        let packed = Packed::of(plain);
        assert!(packed.bytes() * 20 < bytes, "{} of {bytes}", packed.bytes());
    }

    #[test]
    fn rows_of_many_batches_are_gathered_in_any_order() {
        let plain: Vec<RecordBatch> = (0..5).map(|salt| rows(40 + salt, salt)).collect();
        let all = arrow::compute::concat_batches(&plain[0].schema(), &plain).expect("one");
        let begins: Vec<usize> = (0..5).map(|n| plain[..n].iter().map(RecordBatch::num_rows).sum()).collect();
        let packed: Vec<Packed> = plain
            .iter()
            .enumerate()
            .map(|(at, rows)| match at {
                // One of them as it came.
                2 => Packed::plain(rows.clone()),
                _ => Packed::of(rows.clone()),
            })
            .collect();
        let places: Vec<Place> =
            (0..150).map(|n: u32| Place { batch: [4, 0, 2, 2, 1][n as usize % 5], row: n * 7 % 40 }).collect();
        let expected: UInt8Array = places.iter().map(|p| (begins[p.batch as usize] + p.row as usize) as u8).collect();
        let expected = arrow::compute::take_record_batch(&all, &expected).expect("by number");
        assert_eq!(gather(&packed, &places).expect("gathers"), expected);
    }

    #[test]
    fn values_with_the_same_key_are_compared() {
        let texts = ["a", "a", "b", "a"];
        let same = |a: usize, b: usize| texts[a] == texts[b];
        assert!(Distinct::of(2, |_| 7_u64, |key| key, same).is_some_and(|found| found.places == [0, 0]));
        assert!(Distinct::of(4, |_| 7_u64, |key| key, same).is_none(), "two values, one key");
    }

    #[test]
    fn columns_are_replaced_by_name() {
        let packed = Packed::of(rows(100, 1));
        let new = batch(vec![("none", texts(100, |_| Some("now there"))), ("other", texts(100, |_| None))]);
        let with = packed.with(&new);
        let unpacked = with.unpacked().expect("unpacks");
        assert_eq!(unpacked.column_by_name("none"), new.column_by_name("none"));
        assert_eq!(unpacked.num_columns(), 8);
        assert!(!with.is_same(&packed) && packed.is_same(&packed.clone()));
    }
}
