//! One budget of memory for the whole process (`--memory`), and how it is divided.
//!
//! ```text
//!   1/8   exports in work: bodies and decoded rows that are not yet stored
//!   1/4   rows that wait to be written
//!   3/16  a merge of files
//!   1/4   queries
//!   3/16  the rest: code, connections, caches, what the allocator has not given back
//! ```
//! A part that the configuration file sets by itself keeps that value.

use crate::config::Config;

/// What is used where nothing else is said, if the machine has twice as much.
const USUAL: u64 = 1 << 30;
/// Less cannot work: a large export alone takes 64 MiB.
pub const LEAST: u64 = 256 << 20;

/// Which parts the configuration file sets by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Set {
    pub in_flight: bool,
    pub waiting: bool,
    pub merge: bool,
    pub queries: bool,
    pub process: bool,
}

/// The budget when none is given: 1 GiB, or half of what the container or the machine has when that is less.
pub fn usual() -> u64 {
    query::machine_memory().map_or(USUAL, |bytes| (bytes / 2).clamp(LEAST, USUAL))
}

/// Gives each part its share of `total`.
pub fn divide(total: u64, set: Set, config: &mut Config) {
    if !set.in_flight {
        config.collector.max_in_flight_bytes = (total / 8).max(32 << 20);
        config.collector.max_request_bytes =
            config.collector.max_request_bytes.min(config.collector.max_in_flight_bytes);
    }
    if !set.waiting {
        config.storage.memory_bytes = total / 4;
    }
    if !set.merge {
        config.storage.merge_bytes = total / 16 * 3;
    }
    if !set.queries {
        config.query.memory_bytes = total / 4;
        config.query.max_bytes = config.query.max_bytes.min(usize::try_from(total / 8).unwrap_or(usize::MAX));
    }
    if !set.process {
        // Not a part, but all of it: what the engine's accounting misses ends with the query that took it.
        config.query.process_bytes = total;
    }
}
