//! What is known of files, by their paths, within a number of bytes. A file never changes, so what was worked out once
//! stays true; what was not used for longest goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Something that takes memory.
pub trait Size {
    /// Bytes, about.
    fn size(&self) -> usize;
}

/// Values by the path of their file. `None` stands for a file that has none.
pub struct PerFile<T> {
    most: usize,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    by_path: HashMap<String, (Option<Arc<T>>, u64)>,
    bytes: usize,
    /// Counts uses, so that the longest unused goes first.
    uses: u64,
}

/// What a known path costs besides its value.
const PATH: usize = 256;

impl<T: Size> PerFile<T> {
    /// Keeps at most so many bytes.
    pub fn new(most: usize) -> Self {
        PerFile { most, held: Mutex::new(Held { by_path: HashMap::new(), bytes: 0, uses: 0 }) }
    }

    /// Values that are kept.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.by_path.values().filter(|(value, _)| value.is_some()).count()
    }

    /// `None` when nothing is known of the file.
    pub fn get(&self, path: &str) -> Option<Option<Arc<T>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let now = held.uses;
        let (value, used) = held.by_path.get_mut(path)?;
        *used = now;
        Some(value.clone())
    }

    pub fn keep(&self, path: &str, value: Option<Arc<T>>) {
        let size = |value: &Option<Arc<T>>| PATH + value.as_ref().map_or(0, |value| value.size());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let now = held.uses;
        held.bytes += size(&value);
        if let Some((replaced, _)) = held.by_path.insert(path.to_owned(), (value, now)) {
            held.bytes -= size(&replaced);
        }
        while held.bytes > self.most {
            let Some(oldest) = held.by_path.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone())
            else {
                break;
            };
            if let Some((dropped, _)) = held.by_path.remove(&oldest) {
                held.bytes -= size(&dropped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Size for Vec<u8> {
        fn size(&self) -> usize {
            self.len()
        }
    }

    fn value(bytes: usize) -> Option<Arc<Vec<u8>>> {
        Some(Arc::new(vec![0; bytes]))
    }

    #[test]
    fn the_longest_unused_goes_first_and_bytes_stay_within_the_limit() {
        let cache = PerFile::new(2 * (PATH + 100));
        cache.keep("a", value(100));
        cache.keep("b", value(100));
        assert!(cache.get("a").is_some());
        cache.keep("c", value(100));
        assert!(cache.get("b").is_none() && cache.get("a").is_some() && cache.get("c").is_some());
        cache.keep("a", value(100));
        assert!(cache.get("c").is_some(), "a value that takes its own place takes no other's");
        cache.keep("huge", value(10_000));
        assert!(cache.get("huge").is_none() && cache.get("a").is_none());
        cache.keep("none", None);
        assert!(matches!(cache.get("none"), Some(None)));
    }
}
