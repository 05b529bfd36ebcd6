//! How large rows are when they are written, which is not what they take in memory: a text that all rows share, or a list
//! of such texts, is there once and written for each of them.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::DataType;

/// What a number, a time, or null is written as, about, with what stands around it.
const PLAIN: usize = 16;
/// What stands around a text.
const QUOTES: usize = 4;

/// The first rows of a batch that take at most `most` bytes together, about, and how many those are.
pub fn fitting(batch: &RecordBatch, most: usize) -> (usize, usize) {
    let mut sizes = vec![0; batch.num_rows()];
    batch.columns().iter().for_each(|column| add(column, &mut sizes));
    let mut taken = 0usize;
    for (row, size) in sizes.iter().enumerate() {
        match taken.checked_add(*size).filter(|sum| *sum <= most) {
            Some(sum) => taken = sum,
            None => return (row, taken),
        }
    }
    (sizes.len(), taken)
}

/// Adds the size of each of an array's values.
fn add(array: &ArrayRef, sizes: &mut [usize]) {
    match array.data_type() {
        DataType::Utf8View => texts(array.as_string_view().iter().map(|text| text.map(str::len)), sizes),
        DataType::Utf8 => texts(array.as_string::<i32>().iter().map(|text| text.map(str::len)), sizes),
        DataType::LargeUtf8 => texts(array.as_string::<i64>().iter().map(|text| text.map(str::len)), sizes),
        // Bytes are written as hex.
        DataType::BinaryView => texts(array.as_binary_view().iter().map(|b| b.map(|b| 2 * b.len())), sizes),
        DataType::Binary => texts(array.as_binary::<i32>().iter().map(|b| b.map(|b| 2 * b.len())), sizes),
        DataType::LargeBinary => texts(array.as_binary::<i64>().iter().map(|b| b.map(|b| 2 * b.len())), sizes),
        DataType::FixedSizeBinary(width) => {
            let each = 2 * usize::try_from(*width).unwrap_or(0) + QUOTES;
            sizes.iter_mut().for_each(|size| *size = size.saturating_add(each));
        }
        DataType::List(_) => lists(array.as_list::<i32>().values(), array.as_list::<i32>().value_offsets(), sizes),
        DataType::LargeList(_) => lists(array.as_list::<i64>().values(), array.as_list::<i64>().value_offsets(), sizes),
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            lists(&entries, map.value_offsets(), sizes);
        }
        DataType::FixedSizeList(_, length) => {
            let (list, length) = (array.as_fixed_size_list(), *length);
            let first = list.value_offset(0);
            let offsets: Vec<i32> = (0..=list.len() as i32).map(|row| first + row * length).collect();
            lists(list.values(), &offsets, sizes);
        }
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| add(column, sizes)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return texts(sizes.iter().map(|_| None).collect::<Vec<_>>().into_iter(), sizes);
            }
            let mut values = vec![0; dictionary.values().len()];
            add(dictionary.values(), &mut values);
            for (size, key) in sizes.iter_mut().zip(dictionary.normalized_keys()) {
                *size = size.saturating_add(values.get(key).copied().unwrap_or(PLAIN));
            }
        }
        _ => sizes.iter_mut().for_each(|size| *size = size.saturating_add(PLAIN)),
    }
}

fn texts(lengths: impl Iterator<Item = Option<usize>>, sizes: &mut [usize]) {
    for (size, length) in sizes.iter_mut().zip(lengths) {
        *size = size.saturating_add(length.map_or(PLAIN, |length| length + QUOTES));
    }
}

fn lists<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &[O], sizes: &mut [usize]) {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return };
    let (first, last) = (first.as_usize(), last.as_usize());
    let mut inner = vec![0; last - first];
    add(&values.slice(first, last - first), &mut inner);
    for (size, bounds) in sizes.iter_mut().zip(offsets.windows(2)) {
        let own = inner[bounds[0].as_usize() - first..bounds[1].as_usize() - first].iter();
        *size = own.fold(size.saturating_add(QUOTES), |sum, one| sum.saturating_add(*one));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int64Array, ListArray, StringViewArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn fits(column: ArrayRef, most: usize) -> (usize, usize) {
        fitting(&RecordBatch::try_from_iter([("a", column)]).expect("a batch"), most)
    }

    #[test]
    fn a_text_that_rows_share_counts_for_each_of_them() {
        let shared: DictionaryArray<Int32Type> = vec!["x".repeat(96).as_str(); 100].into_iter().collect();
        let plain: StringViewArray = vec![Some("x".repeat(96)); 100].into_iter().collect();
        for column in [Arc::new(shared) as ArrayRef, Arc::new(plain)] {
            assert_eq!(fits(column.clone(), 1_050), (10, 1_000));
            assert_eq!(fits(column.clone(), 99), (0, 0), "not even one");
            assert_eq!(fits(column.slice(90, 10), 5_000), (10, 1_000));
        }
    }

    #[test]
    fn a_dictionary_without_values_is_all_null() {
        let nulls: DictionaryArray<Int32Type> = [None::<&str>; 3].into_iter().collect();
        assert_eq!(fits(Arc::new(nulls), 1_000), (3, 3 * PLAIN));
    }

    #[test]
    fn lists_are_as_large_as_what_is_in_them() {
        let numbers = |n: i64| Some((0..n).map(Some).collect::<Vec<_>>());
        let lists: ListArray =
            ListArray::from_iter_primitive::<Int64Type, _, _>([numbers(1), numbers(100), numbers(0)]);
        let sizes = |most| fits(Arc::new(lists.clone()), most).0;
        assert_eq!([sizes(19), sizes(20), sizes(1_623), sizes(1_624), sizes(1_628)], [0, 1, 1, 2, 3]);
        assert_eq!(fits(Arc::new(lists.slice(2, 1)), 4), (1, 4));
        assert_eq!(fits(Arc::new(Int64Array::from(vec![1; 8])), 1_000), (8, 8 * PLAIN));
    }
}
