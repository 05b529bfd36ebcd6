//! How many spans of two sides have which attribute values, in bounded memory.
//!
//! Of a key with very many values the rarer half is forgotten whenever there are too many; what stays may then be
//! counted too low, by no more than [`Values::forgotten`]. A value that many spans share is never among the rarer
//! half, so what sets a selection apart is found among any number of ids (the idea is that of lossy counting; Manku
//! and Motwani, VLDB 2002).

use std::collections::{BTreeMap, HashMap};

use super::difference::{KeyCount, ValueCount};

/// Values of one key that are told apart.
pub const MOST_VALUES: usize = 8_192;
/// Different keys; further ones are left out.
pub const MOST_KEYS: usize = 1_000;
/// Bytes of a value that are looked at.
const LONGEST: usize = 1_024;
/// A value counts when the spans it may have been counted too low by are at most one in so many of its spans.
const SURE: u64 = 10;

/// Spans of the selection and of the baseline.
pub type Pair = [u64; 2];

/// The values of one key.
#[derive(Debug, Default, Clone)]
pub struct Values {
    spans: Pair,
    counts: HashMap<Box<str>, Pair>,
    forgotten: u64,
    bytes: usize,
}

impl Values {
    pub fn add(&mut self, value: &str, n: Pair) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        let plus = |a: &mut Pair| a.iter_mut().zip(n).for_each(|(a, n)| *a += n);
        plus(&mut self.spans);
        match self.counts.get_mut(value) {
            Some(count) => plus(count),
            None => self.take(value.into(), n),
        }
    }

    fn take(&mut self, value: Box<str>, n: Pair) {
        self.bytes += value.len() + 64;
        self.counts.insert(value, n);
        if self.counts.len() > MOST_VALUES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let total = |pair: &Pair| pair[0] + pair[1];
        let mut counts: Vec<u64> = self.counts.values().map(total).collect();
        let middle = counts.len() / 2;
        let least = *counts.select_nth_unstable(middle).1;
        self.counts.retain(|_, count| total(count) > least);
        self.bytes = self.counts.keys().map(|value| value.len() + 64).sum();
        self.forgotten += least;
    }

    fn merge(&mut self, other: Values) {
        self.spans.iter_mut().zip(other.spans).for_each(|(a, b)| *a += b);
        self.forgotten += other.forgotten;
        for (value, n) in other.counts {
            match self.counts.get_mut(&value) {
                Some(count) => count.iter_mut().zip(n).for_each(|(a, b)| *a += b),
                None => self.take(value, n),
            }
        }
    }

    /// Whether some values were not told apart.
    pub fn is_cut(&self) -> bool {
        self.forgotten > 0
    }

    fn counted(self, key: String) -> KeyCount {
        let sure = |count: &Pair| count[0] + count[1] >= SURE * self.forgotten;
        let counts = self.counts.into_iter().filter(|(_, count)| sure(count));
        let value = |(value, [selection, baseline]): (Box<str>, Pair)| ValueCount {
            value: value.into_string(),
            selection,
            baseline,
        };
        let mut values: Vec<ValueCount> = counts.map(value).collect();
        values.sort_unstable_by(|a, b| a.value.cmp(&b.value));
        KeyCount { key, selection: self.spans[0], baseline: self.spans[1], values }
    }
}

/// The keys of one scope.
#[derive(Debug, Default, Clone)]
pub struct Keys {
    keys: BTreeMap<Box<str>, Values>,
    /// There were more keys than are looked at.
    pub is_cut: bool,
}

impl Keys {
    pub fn add(&mut self, key: &str, value: &str, n: Pair) {
        if let Some(values) = self.keys.get_mut(key) {
            values.add(value, n);
        } else if self.keys.len() < MOST_KEYS {
            self.keys.entry(key.into()).or_default().add(value, n);
        } else {
            self.is_cut = true;
        }
    }

    pub fn merge(&mut self, other: Keys) {
        self.is_cut |= other.is_cut;
        for (key, values) in other.keys {
            if self.keys.len() < MOST_KEYS || self.keys.contains_key(&key) {
                self.keys.entry(key).or_default().merge(values);
            } else {
                self.is_cut = true;
            }
        }
    }

    /// Keys of which some values were not told apart.
    pub fn cut(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|(_, values)| values.is_cut()).map(|(key, _)| &**key)
    }

    pub fn counted(self) -> Vec<KeyCount> {
        self.keys.into_iter().map(|(key, values)| values.counted(key.into_string())).collect()
    }

    /// Bytes held, about.
    pub fn size(&self) -> usize {
        self.keys.values().map(|values| values.bytes + 128).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_value_is_found_among_a_million_ids() {
        let (mut whole, mut part) = (Keys::default(), Keys::default());
        for id in 0..1_000_000u64 {
            let keys = if id < 600_000 { &mut whole } else { &mut part };
            keys.add("user.id", &format!("user-{id}"), [0, 1]);
            if id % 20 == 0 {
                keys.add("user.id", "crawler", [1, 0]);
            }
        }
        whole.merge(part);
        assert!(whole.size() < 4 << 20, "{}", whole.size());
        assert_eq!(whole.cut().collect::<Vec<_>>(), ["user.id"]);
        let key = &whole.counted()[0];
        assert_eq!((key.selection, key.baseline), (50_000, 1_000_000));
        let crawler = key.values.iter().find(|value| value.value == "crawler").expect("counted");
        assert_eq!((crawler.selection, crawler.baseline), (50_000, 0));
        assert!(key.values.len() < 10, "{} values", key.values.len());
    }

    #[test]
    fn few_values_are_counted_exactly_and_further_keys_are_left_out() {
        let mut keys = Keys::default();
        for n in 0..MOST_KEYS + 5 {
            keys.add(&format!("key.{n:05}"), "a", [1, 2]);
            keys.add(&format!("key.{n:05}"), "b", [3, 0]);
        }
        assert!(keys.is_cut && keys.cut().next().is_none());
        let counted = keys.counted();
        assert_eq!((counted.len(), counted[7].selection, counted[7].baseline), (MOST_KEYS, 4, 2));
        let b = ValueCount { value: "b".to_owned(), selection: 3, baseline: 0 };
        assert_eq!(counted[7].values[1], b);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut keys = Keys::default();
        keys.add("text", &"é".repeat(2_000), [1, 0]);
        assert_eq!(keys.counted()[0].values[0].value.len(), LONGEST);
    }
}
