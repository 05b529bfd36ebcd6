//! Which attribute has a column of its own: one multiplication and one comparison per key.
//!
//! The key's length, first byte and last eight bytes are hashed into 256 places. The multiplier is searched once at
//! start so that no two promoted keys meet, hence a lookup compares at most one key. The search runs over whatever
//! `model::schema` lists, so a new column needs no change here.

use std::borrow::Cow;
use std::sync::LazyLock;

use model::schema::{PROMOTED_RESOURCE, PROMOTED_SPAN, Promoted, PromotedType};

const PLACES: usize = 256;
const FREE: u8 = u8::MAX;

/// A perfect hash of attribute keys.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Vec<(&'static str, PromotedType)>,
    places: [u8; PLACES],
    multiplier: u64,
}

impl Keys {
    fn new(keys: Vec<(&'static str, PromotedType)>) -> Self {
        let mut multiplier = 0x9e37_79b9_7f4a_7c15u64;
        loop {
            if let Some(places) = Self::place(&keys, multiplier) {
                return Keys { keys, places, multiplier };
            }
            multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
        }
    }

    fn place(keys: &[(&'static str, PromotedType)], multiplier: u64) -> Option<[u8; PLACES]> {
        let mut places = [FREE; PLACES];
        for (index, (key, _)) in keys.iter().enumerate() {
            let place = &mut places[hash(key.as_bytes(), multiplier)];
            if *place != FREE {
                return None;
            }
            *place = index as u8;
        }
        Some(places)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of `key` in the list, and the type that its column takes.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<(usize, PromotedType)> {
        let index = usize::from(self.places[hash(key, self.multiplier)]);
        let (known, ty) = self.keys.get(index)?;
        (known.as_bytes() == key).then_some((index, *ty))
    }
}

#[inline]
fn hash(key: &[u8], multiplier: u64) -> usize {
    let tail = match key.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => key.iter().fold(0, |tail, byte| tail << 8 | u64::from(*byte)),
    };
    let head = key.first().copied().unwrap_or_default();
    let mixed = tail ^ ((key.len() as u64) << 32) ^ u64::from(head);
    (mixed.wrapping_mul(multiplier) >> 56) as usize
}

/// Keys of `PROMOTED_SPAN`, in that order.
pub(super) static SPAN: LazyLock<Keys> = LazyLock::new(|| Keys::new(PROMOTED_SPAN.iter().map(typed).collect()));

/// Keys of `PROMOTED_RESOURCE`, in that order, and behind them the keys of [`Identity`].
pub(super) static RESOURCE: LazyLock<Keys> = LazyLock::new(|| {
    let identity = Identity::KEYS.map(|key| (key, PromotedType::Text));
    Keys::new(PROMOTED_RESOURCE.iter().map(typed).chain(identity).collect())
});

fn typed(promoted: &Promoted) -> (&'static str, PromotedType) {
    (promoted.key, promoted.ty)
}

/// Resource attributes that say who a service is. The order is that of [`Identity::KEYS`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Identity {
    Name,
    Namespace,
    Version,
    Instance,
}

impl Identity {
    const KEYS: [&'static str; 4] = ["service.name", "service.namespace", "service.version", "service.instance.id"];

    pub fn slot(self) -> usize {
        PROMOTED_RESOURCE.len() + self as usize
    }
}

/// A value that goes to a column of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PromotedValue<'a> {
    Text(Cow<'a, str>),
    Int(i64),
}

/// The promoted values of one row, by the key's number in its [`Keys`].
#[derive(Debug)]
pub(super) struct Slots<'a> {
    pub keys: &'static Keys,
    values: Vec<Option<PromotedValue<'a>>>,
    filled: u64,
    /// Slots whose key came with a value of another type.
    left_out: u64,
}

impl<'a> Slots<'a> {
    pub fn new(keys: &'static Keys) -> Self {
        Slots { keys, values: vec![None; keys.len()], filled: 0, left_out: 0 }
    }

    pub fn clear(&mut self) {
        self.left_out = 0;
        while self.filled != 0 {
            self.values[self.filled.trailing_zeros() as usize] = None;
            self.filled &= self.filled - 1;
        }
    }

    /// Puts a value into its slot; true when there was one already.
    #[inline]
    pub fn set(&mut self, slot: usize, value: PromotedValue<'a>) -> bool {
        self.filled |= 1 << slot;
        self.values[slot].replace(value).is_some()
    }

    /// Empties a slot because its key has a value of another type; true when there was a value.
    pub fn unset(&mut self, slot: usize) -> bool {
        self.filled &= !(1 << slot);
        self.left_out |= 1 << slot;
        self.values[slot].take().is_some()
    }

    /// Whether the slot's key came with a value of another type before.
    #[inline]
    pub fn left_out(&self, slot: usize) -> bool {
        self.left_out & 1 << slot != 0
    }

    pub fn text(&self, slot: usize) -> Option<&str> {
        match self.values.get(slot)?.as_ref()? {
            PromotedValue::Text(text) => Some(text),
            PromotedValue::Int(_) => None,
        }
    }

    /// The filled slots, in order.
    #[inline]
    pub fn filled(&self) -> impl Iterator<Item = (usize, &PromotedValue<'a>)> {
        let mut left = self.filled;
        std::iter::from_fn(move || {
            while left != 0 {
                let slot = left.trailing_zeros() as usize;
                left &= left - 1;
                if let Some(value) = &self.values[slot] {
                    return Some((slot, value));
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promoted_key_is_found_and_nothing_else() {
        for (number, promoted) in PROMOTED_SPAN.iter().enumerate() {
            assert_eq!(SPAN.find(promoted.key.as_bytes()), Some((number, promoted.ty)));
            let longer = format!("{}x", promoted.key);
            assert_eq!(SPAN.find(longer.as_bytes()), None);
        }
        assert_eq!(SPAN.find(b""), None);
        assert_eq!(SPAN.find(b"service.name"), None);
        assert_eq!(RESOURCE.find(b"service.name").map(|(slot, _)| slot), Some(Identity::Name.slot()));
        assert!(SPAN.len() <= 64 && RESOURCE.len() <= 64, "Slots keeps one bit for each");
    }
}
