//! Two lanes: the page's own analyses and what people write in SQL run beside each other without sharing threads, places
//! or memory, so that whoever asks for too much takes nothing from the dashboards of the others. Where both want all of the
//! CPU, dashboards have some three quarters of it.
//!
//! ```text
//!   dashboards, traces, metrics ──▶ places ▸ threads ▸ memory ▸ spill quota ┐
//!   statements                  ──▶ places ▸ threads ▸ memory ▸ spill quota ┴─▶ one snapshot each
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::cache::cache_manager::{CacheManager, CacheManagerConfig};
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use model::{Error, Kind, Result};

use super::admission::Admission;
use super::meter;
use super::running::{Running, Seat};
use super::settings::Settings;
use super::spill::SpillFolder;
use super::threads::Threads;
use crate::error::from_datafusion;

/// Added to the niceness of query threads where they do not, or cannot be told to, run when a core is idle
/// ([`super::threads`]); ingest has none.
const ANALYSES_NICE: i32 = 10;
const STATEMENTS_NICE: i32 = 15;

/// How often it is looked who waits.
const LOOK: Duration = Duration::from_millis(200);

/// Threads of joins that cannot give way, at most. Where a statement has more of them, the further ones keep those of the lane.
const MOST_BESIDE: usize = 256;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// hotspan's own pages and APIs, whose cost is known.
    Analysis,
    /// A statement somebody wrote.
    Statement,
}

/// What one kind of queries has for itself.
pub struct Lane {
    pub admission: Admission,
    pub running: Arc<Running>,
    pub env: RuntimeEnv,
    /// Bytes of its memory that one query may take.
    pub most_of_one: usize,
    /// Resident bytes of the process above which this lane's queries are ended.
    pub ceiling: u64,
    /// So long a query may be costly, or idle, though others wait. `None`: as long as its time lasts.
    patience: Option<Duration>,
    pub threads: Threads,
}

impl Lane {
    /// Comes back only when a query that began now has had its part and others wait for its place.
    pub async fn outstayed(&self, seat: &Seat) -> Error {
        let Some(patience) = self.patience else { return std::future::pending().await };
        let outstayed = |at| {
            // Also where it computes without giving way: others may begin in its place.
            seat.stands_still(at);
            seat.has_outstayed(at, patience, self.admission.waiting())
        };
        while !outstayed(Instant::now()) {
            tokio::time::sleep(LOOK).await;
        }
        let (ran, computed) = (seat.meter().began().elapsed().as_secs_f64(), seat.meter().had().as_secs_f64());
        let story = format!(
            "the query was ended after {ran:.1} s, of which it computed for {computed:.1}, since others wait for their turn"
        );
        Error::new(Kind::Limit, story)
            .hint("narrow the time range, filter by service_name, or ask again when fewer people do")
    }
}

/// Both lanes.
pub struct Lanes {
    analyses: Lane,
    statements: Lane,
    /// After the lanes, whose queries write into it.
    _spilled: Option<SpillFolder>,
}

impl Lanes {
    /// Divides places and memory; each lane has all the threads. Where the process comes near `ceiling`, statements are
    /// ended from an eighth below it on, since one can take that much before it is looked at again; analyses, whose cost
    /// is known, only an eighth above it, when that has not helped.
    pub fn new(settings: &Settings, ceiling: u64) -> Result<Self> {
        meter::carry();
        let preparing = |e| from_datafusion(e).context("preparing the query memory");
        let footers = footers(settings).map_err(preparing)?;
        let spilled = spill_folder(settings);
        let first: Arc<Running> = Arc::default();
        let behind = Running::behind(&first, settings.concurrency);
        let lane = |asked, running, places: usize, memory: usize, ceiling| {
            // What analyses cost is known, so some of it may be had beside ingest, and none has to end for others.
            let (name, nice, is_analysis) = match asked {
                Asked::Analysis => ("query", ANALYSES_NICE, true),
                Asked::Statement => ("statement", STATEMENTS_NICE, false),
            };
            // Each part of a plan of any statement may be a join that cannot give way.
            let beside = if is_analysis { 0 } else { MOST_BESIDE };
            let env = environment(memory, spilled.as_ref(), settings.spill_bytes, footers.clone());
            Ok::<_, Error>(Lane {
                admission: Admission::new(places.max(1), settings.queue),
                running,
                most_of_one: memory - memory / 4,
                env: env.map_err(preparing)?,
                ceiling,
                patience: (!is_analysis).then_some(settings.patience),
                threads: Threads::start(name, settings.threads, beside, nice, is_analysis)?,
            })
        };
        Ok(Lanes {
            analyses: lane(
                Asked::Analysis,
                first,
                settings.concurrency.div_ceil(2),
                settings.analyses_bytes(),
                ceiling.saturating_add(ceiling / 8),
            )?,
            statements: lane(
                Asked::Statement,
                behind,
                settings.concurrency,
                settings.statements_bytes(),
                ceiling - ceiling / 8,
            )?,
            _spilled: spilled,
        })
    }

    pub fn of(&self, asked: Asked) -> &Lane {
        match asked {
            Asked::Analysis => &self.analyses,
            Asked::Statement => &self.statements,
        }
    }

    /// The CPU time that each lane's queries have had since the start.
    pub fn had(&self) -> [(&'static str, Duration); 2] {
        [("analyses", self.analyses.running.had()), ("statements", self.statements.running.had())]
    }

    /// Queries that run and that wait now.
    pub fn now(&self) -> (usize, usize) {
        let lanes = [&self.analyses, &self.statements];
        let running = lanes.map(|lane| lane.admission.taken() + lane.running.with_room());
        (running.iter().sum(), lanes.map(|lane| lane.admission.waiting()).iter().sum())
    }

    /// Queries that may run and that may wait.
    pub fn most(&self) -> (usize, usize) {
        let (analyses, statements) = (self.analyses.admission.most(), self.statements.admission.most());
        (analyses.0 + statements.0 + self.statements.running.most_costly(), analyses.1 + statements.1)
    }
}

/// What is remembered of files' footers, by both lanes: where they ask for more files than it holds, each question reads
/// all footers again. Theirs is a part of the memory for caches, not of what queries may take.
fn footers(settings: &Settings) -> datafusion::common::Result<CacheManagerConfig> {
    let own = CacheManagerConfig::default().with_metadata_cache_limit(settings.footers_bytes());
    let shared = CacheManager::try_new(&own)?.get_file_metadata_cache();
    Ok(own.with_file_metadata_cache(Some(shared)))
}

/// Where both lanes spill. That it cannot be made, on a full disk say, is no reason not to start.
fn spill_folder(settings: &Settings) -> Option<SpillFolder> {
    let above = settings.spill_folder.clone().unwrap_or_else(std::env::temp_dir);
    let made = SpillFolder::make(&above);
    if let Err(e) = &made {
        tracing::warn!(folder = %above.display(), "queries spill into the system's temporary folder: {e}");
    }
    made.ok()
}

fn environment(
    memory: usize,
    spilled: Option<&SpillFolder>,
    most_spilled: u64,
    footers: CacheManagerConfig,
) -> datafusion::common::Result<RuntimeEnv> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(memory), NonZeroUsize::MIN.saturating_add(2));
    let disk = DiskManagerBuilder::default()
        .with_mode(SpillFolder::mode(spilled))
        .with_max_temp_directory_size(SpillFolder::room(spilled, most_spilled) / 2);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .with_cache_manager(footers)
        .build()
}
