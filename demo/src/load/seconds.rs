//! The run second by second, by the time at which exports were due; written as CSV while it runs.
//!
//! A second is closed, and its line written, when all of it is over, all of its exports were begun, and the fate of
//! each is known. So a line comes late when exports wait for an answer or for another try.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::Error;
use super::report::Row;
use super::schedule::Schedule;
use super::tally::Tally;

pub struct Seconds {
    spans_per_export: u64,
    open: BTreeMap<u64, Tally>,
    closed: Vec<Row>,
    csv: Option<(File, String)>,
}

const HEADER: &str = "second,asked,sent,accepted,rejected,refused,failed,refusals,p50_ms,p90_ms,p99_ms,max_ms";

impl Seconds {
    pub fn new(spans_per_export: u64, csv: Option<&Path>) -> Result<Self, Error> {
        let mut seconds = Seconds { spans_per_export, open: BTreeMap::new(), closed: Vec::new(), csv: None };
        if let Some(path) = csv {
            let name = path.display().to_string();
            let file = File::create(path).map_err(|source| Error::File { path: name.clone(), source })?;
            seconds.csv = Some((file, name));
            seconds.write_line(HEADER)?;
        }
        Ok(seconds)
    }

    /// The second to which an export belongs.
    pub fn of(&mut self, counted_from: Duration) -> &mut Tally {
        self.open.entry(counted_from.as_secs()).or_insert_with(|| Tally::new(2))
    }

    /// Closes what can be closed. Everything due before `begun` was begun.
    pub fn close(&mut self, schedule: &Schedule, begun: Duration) -> Result<(), Error> {
        loop {
            let second = self.closed.len() as u64;
            let over = Duration::from_secs(second + 1) <= begun;
            if !over || self.open.get(&second).is_some_and(|tally| tally.open() > 0) {
                return Ok(());
            }
            self.close_one(schedule, second)?;
        }
    }

    /// Closes all that is left, in the end.
    pub fn close_all(mut self, schedule: &Schedule, ended: Duration) -> Result<Vec<Row>, Error> {
        let last = self.open.keys().next_back().map_or(0, |second| second + 1);
        let all = last.max(ended.as_secs_f64().ceil() as u64);
        while (self.closed.len() as u64) < all {
            self.close_one(schedule, self.closed.len() as u64)?;
        }
        Ok(self.closed)
    }

    fn close_one(&mut self, schedule: &Schedule, second: u64) -> Result<(), Error> {
        let tally = self.open.remove(&second).unwrap_or_else(|| Tally::new(1));
        let (begins, ends) = (Duration::from_secs(second), Duration::from_secs(second + 1));
        let due = schedule.due_before(ends) - schedule.due_before(begins);
        let asked = if schedule.is_flat_out_at(begins) { tally.totals.exports } else { due };
        let asked = asked * self.spans_per_export;
        let row = Row::new(begins, Duration::from_secs(1), asked, &tally);
        let (totals, latency) = (row.totals, row.latency_ms);
        self.write_line(&format!(
            "{second},{asked},{},{},{},{},{},{},{:.3},{:.3},{:.3},{:.3}",
            totals.sent,
            totals.accepted,
            totals.rejected,
            totals.refused,
            totals.failed,
            totals.refusals,
            latency.p50,
            latency.p90,
            latency.p99,
            latency.max
        ))?;
        self.closed.push(row);
        Ok(())
    }

    fn write_line(&mut self, line: &str) -> Result<(), Error> {
        let Some((file, path)) = &mut self.csv else { return Ok(()) };
        file.write_all(format!("{line}\n").as_bytes()).map_err(|source| Error::File { path: path.clone(), source })
    }
}
