//! Settings of the query engine, each described by its trade-off.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Threads for the page's analyses, and as many for statements. More: faster queries, less for ingest.
    pub threads: usize,
    /// Memory of all queries together, in bytes, half of it for statements. What needs more spills to disk or is told
    /// to narrow.
    pub memory_bytes: u64,
    /// Memory of the whole process, in bytes, above which running statements are ended, and analyses an eighth later:
    /// the engine's own accounting misses some. 0: three quarters of the machine's (or container's) memory.
    pub process_bytes: u64,
    /// Statements that go on at once after half a second of CPU; as many that have had less run beside them, and half as
    /// many analyses. More: shorter queue, less memory for each. What has had half a second lets those go first that have
    /// had less; 5 s after that the statement that has had most is ended when another waits for its turn.
    pub concurrency: usize,
    /// Analyses, and statements, that may wait for their turn; further ones are told to come back.
    pub queue: usize,
    /// Longest a query may run, in seconds, waiting included.
    pub timeout_seconds: f64,
    /// Most rows of one answer; the rest is cut off and `truncated` is set.
    pub max_rows: usize,
    /// Most bytes of one answer, as it is written; the rest is cut off and `truncated` is set.
    pub max_bytes: usize,
    /// Where sorts and aggregations too large for memory go, in a folder of the engine's own that is deleted when it stops,
    /// or after a kill at the next start; `None`: the system's folder for temporary files.
    pub spill_folder: Option<PathBuf>,
    /// Most bytes on disk for that, and at most a quarter of what is free at the start.
    pub spill_bytes: u64,
    /// So long a statement may be costly though others wait for their turn. For tests.
    #[serde(skip)]
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Settings {
            threads,
            memory_bytes: 512 << 20,
            process_bytes: 0,
            concurrency: threads.max(4),
            queue: 64,
            timeout_seconds: 30.0,
            max_rows: 100_000,
            max_bytes: 64 << 20,
            spill_folder: None,
            spill_bytes: 4 << 30,
            patience: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// For the footers of files, besides `memory_bytes`. One of a file of spans takes some 90 kB.
    pub(crate) fn footers_bytes(&self) -> usize {
        usize::try_from(self.memory_bytes / 4).unwrap_or(0)
    }

    /// The part of the queries' memory that keeps what is known of files.
    pub(crate) fn pieces_bytes(&self) -> usize {
        usize::try_from(self.memory_bytes / 4).unwrap_or(0)
    }

    /// What statements may take, all together.
    pub(crate) fn statements_bytes(&self) -> usize {
        self.queries_bytes() / 2
    }

    /// The same of analyses.
    pub(crate) fn analyses_bytes(&self) -> usize {
        self.queries_bytes() - self.statements_bytes()
    }

    fn queries_bytes(&self) -> usize {
        usize::try_from(self.memory_bytes).unwrap_or(usize::MAX) - self.pieces_bytes()
    }

    /// Says which value is out of range and what it may be.
    pub fn validate(&self) -> model::Result<()> {
        let wrong = |name: &str, why: &str| Err(model::Error::invalid(format!("query.{name} {why}")));
        if self.threads == 0 || self.threads > 1024 {
            return wrong("threads", "must be between 1 and 1024");
        }
        if self.concurrency == 0 {
            return wrong("concurrency", "must be at least 1");
        }
        if self.memory_bytes < 8 << 20 {
            return wrong("memory_bytes", "must be at least 8 MiB");
        }
        if !(0.001..=86_400.0).contains(&self.timeout_seconds) {
            return wrong("timeout_seconds", "must be between 0.001 and 86400");
        }
        if self.max_rows == 0 || self.max_bytes == 0 {
            return wrong("max_rows and query.max_bytes", "must be at least 1");
        }
        Ok(())
    }
}
