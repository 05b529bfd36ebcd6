//! What is known of files, by their paths, within a number of bytes. A file never changes, so what was worked out once
//! stays true.
//!
//! Questions use the same files again and again, all of them one after the other. If the longest unused went whenever room
//! is short, a question over more files than there is room for would find none of them: each would go just before its
//! turn. So a value that one of the last questions used stays, and the new one is not kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

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
    /// With the question that used it last.
    by_path: HashMap<String, (Option<Arc<T>>, u64)>,
    bytes: usize,
    /// Questions so far.
    questions: u64,
}

/// A key for what is known of several at once, of which `members` are the names: no file has such a path, and 128 bits of two
/// of them are not the same by chance.
pub fn key_of(kind: &str, members: &[u8]) -> String {
    format!("{kind} {:032x}", xxh3_128(members))
}

/// A value makes room for others when this many questions did not use it.
const UNUSED: u64 = 2;

/// What a known path costs besides its value.
const PATH: usize = 256;

impl<T: Size> PerFile<T> {
    /// Keeps at most so many bytes.
    pub fn new(most: usize) -> Self {
        PerFile { most, held: Mutex::new(Held { by_path: HashMap::new(), bytes: 0, questions: 0 }) }
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another question begins.
    pub fn begin(&self) {
        self.held().questions += 1;
    }

    /// Values that are kept.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.held().by_path.values().filter(|(value, _)| value.is_some()).count()
    }

    /// `None` when nothing is known of the file.
    pub fn get(&self, path: &str) -> Option<Option<Arc<T>>> {
        let mut held = self.held();
        let question = held.questions;
        let (value, used) = held.by_path.get_mut(path)?;
        *used = question;
        Some(value.clone())
    }

    /// Keeps what was found, if there is room or can be made.
    pub fn keep(&self, path: &str, value: Option<Arc<T>>) {
        let mut held = self.held();
        held.remove(path);
        let wanted = size(&value);
        if wanted > self.most {
            return;
        }
        while held.bytes + wanted > self.most {
            let unused = held.by_path.iter().filter(|(_, (_, used))| used + UNUSED <= held.questions);
            let Some(oldest) = unused.min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone()) else { return };
            held.remove(&oldest);
        }
        held.bytes += wanted;
        let question = held.questions;
        held.by_path.insert(path.to_owned(), (value, question));
    }
}

fn size<T: Size>(value: &Option<Arc<T>>) -> usize {
    PATH + value.as_ref().map_or(0, |value| value.size())
}

impl<T: Size> Held<T> {
    fn remove(&mut self, path: &str) {
        if let Some((value, _)) = self.by_path.remove(path) {
            self.bytes -= size(&value);
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
    fn what_no_question_used_of_late_makes_room() {
        let cache = PerFile::new(2 * (PATH + 100));
        cache.begin();
        cache.keep("a", value(100));
        cache.keep("b", value(100));
        cache.begin();
        assert!(cache.get("a").is_some());
        cache.begin();
        cache.keep("c", value(100));
        assert!(cache.get("b").is_none() && cache.get("a").is_some() && cache.get("c").is_some());
        cache.keep("a", value(100));
        assert!(cache.get("c").is_some(), "a value that takes its own place takes no other's");
        cache.keep("none", None);
        assert!(cache.get("none").is_none(), "there is no room");
        cache.begin();
        cache.begin();
        cache.keep("huge", value(10_000));
        assert!(cache.get("huge").is_none());
        cache.keep("none", None);
        assert!(matches!(cache.get("none"), Some(None)));
    }

    #[test]
    fn a_question_over_more_files_than_there_is_room_for_finds_those_that_fit() {
        let cache = PerFile::new(6 * (PATH + 100));
        let mut found = Vec::new();
        for _ in 0..4 {
            cache.begin();
            let path = |n: u32| format!("file-{n}");
            let missing: Vec<u32> = (0..10).filter(|n| cache.get(&path(*n)).is_none()).collect();
            found.push(10 - missing.len());
            missing.iter().for_each(|n| cache.keep(&path(*n), value(100)));
        }
        assert_eq!(found, [0, 6, 6, 6]);
    }
}
