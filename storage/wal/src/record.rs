//! A record on its way into the log: bytes in several parts, so that a body need not be copied behind its header.

use std::fmt;

use crate::WalError;

/// Called once with the record's sequence number when it is durable, or with why it was not kept.
pub type Done = Box<dyn FnOnce(Result<u64, WalError>) + Send>;

/// Takes the records of a log in order: number and bytes. Its first error ends the reading.
pub type Replay<'a, E> = dyn FnMut(u64, &[u8]) -> Result<(), E> + 'a;

type Part = Box<dyn AsRef<[u8]> + Send>;

/// One record: its parts are written one after the other and come back from a replay as one slice.
///
/// The checksum is taken as parts are added, that is on the caller's thread.
#[derive(Default)]
pub struct Record {
    parts: Vec<Part>,
    len: u64,
    crc: u32,
}

impl Record {
    pub fn new() -> Self {
        Record::default()
    }

    /// Adds bytes at the end: a `Vec<u8>`, a `Box<[u8]>`, a `bytes::Bytes`, a `&'static [u8]`.
    ///
    /// The bytes are held, not copied, until the group they go with is written.
    #[must_use]
    pub fn part(mut self, part: impl AsRef<[u8]> + Send + 'static) -> Self {
        let bytes = part.as_ref();
        self.len += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.parts.push(Box::new(part));
        self
    }

    /// Bytes in all parts.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// crc32c of all parts.
    pub(crate) fn crc(&self) -> u32 {
        self.crc
    }

    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| (**part).as_ref())
    }
}

impl From<Vec<u8>> for Record {
    fn from(bytes: Vec<u8>) -> Self {
        Record::new().part(bytes)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} bytes in {} parts)", self.len, self.parts.len())
    }
}
