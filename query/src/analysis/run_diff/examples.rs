//! Example traces of what changed, of both sides: typical ones ([`super::super::examples`]) of the spans that show the change.
//!
//! ```text
//! took longer:  after ─▶ spans above the border ─▶ nearest to their median
//!               before ─▶ spans up to the border ─▶ nearest to their median
//! failed more:  after ─▶ spans that failed; before ─▶ spans that did not
//! ```
//! The border lies midway between the figures of both sides by which the operation is judged: a mean or a 99th percentile
//! that rose may show in few spans, and the median of all would not. Of what got better the sides are the other way around.

use arrow::array::RecordBatch;
use model::Result;
use model::schema::column;

use super::super::batch::{ids, int, ints, trace_id};
use super::super::called::{self, Called, Operations};
use super::super::coordinated_omission::intended::intended_start;
use super::super::examples::Candidates;
use super::super::names::TextColumn;
use super::super::scope::{quoted, started_in};
use super::bands::Band;
use super::matched::{Compared, Figure, Measure, Operation};
use super::{Side, operation_of};
use crate::fold::Fold;
use crate::query::Query;

/// Operations that get examples, those listed first, and how many of each side.
const EXEMPLIFIED: usize = 20;
const EXEMPLARS: usize = 5;

/// Which spans of a side show the change of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    Failed(bool),
    /// By their own time, or by that from the intended start.
    LongerThan(f64, bool),
    AtMost(f64, bool),
}

impl Shows {
    fn of(figure: &Figure, is_baseline: bool) -> Shows {
        let has_more = (figure.change > 0.0) != is_baseline;
        let from_intended = figure.measure.is_intended();
        let border = (figure.before + figure.after) / 2.0;
        match (figure.measure, has_more) {
            (Measure::ErrorRate, _) => Shows::Failed(has_more),
            (_, true) => Shows::LongerThan(border, from_intended),
            (_, false) => Shows::AtMost(border, from_intended),
        }
    }

    /// The time by which a span is typical, when it shows the change.
    fn time(self, took: i64, from_intended: Option<i64>, failed: bool) -> Option<i64> {
        let by = |is_from_intended: bool| if is_from_intended { from_intended } else { Some(took) };
        match self {
            Shows::Failed(wanted) => (failed == wanted).then_some(took),
            Shows::LongerThan(than, intended) => by(intended).filter(|time| *time as f64 > than),
            Shows::AtMost(most, intended) => by(intended).filter(|time| *time as f64 <= most),
        }
    }
}

/// Gives the first operations that changed example traces.
pub async fn add(query: &Query, sides: [&Side; 2], bands: &[Band], compared: &mut [Compared]) -> Result<()> {
    let is_shown = |compared: &&mut Compared| compared.outcome.is_change() && !compared.figures.is_empty();
    let mut shown: Vec<&mut Compared> = compared.iter_mut().filter(is_shown).take(EXEMPLIFIED).collect();
    if shown.is_empty() {
        return Ok(());
    }
    for (at, side) in sides.into_iter().enumerate() {
        let is_baseline = at == 0;
        let wanted =
            |compared: &&mut Compared| Some((compared.operation.clone(), Shows::of(compared.decisive()?, is_baseline)));
        let wanted: Vec<(Operation, Shows)> = shown.iter().filter_map(wanted).collect();
        let found = of_side(query, side, bands, is_baseline, wanted).await?;
        for (compared, candidates) in shown.iter_mut().zip(found) {
            compared.exemplars[at] = candidates.typical(EXEMPLARS);
        }
    }
    Ok(())
}

/// Spans of one side that show the changes, for each that is wanted.
async fn of_side(
    query: &Query,
    side: &Side,
    bands: &[Band],
    is_baseline: bool,
    wanted: Vec<(Operation, Shows)>,
) -> Result<Vec<Candidates>> {
    let levels = bands.iter().flat_map(|band| band.levels(is_baseline));
    let times: Vec<String> = levels.map(|level| format!("({})", started_in(level.window))).collect();
    let names: Vec<String> = wanted.iter().map(|(operation, _)| is_of(operation)).collect();
    let sql = format!(
        "SELECT {}, trace_id_bytes, {}, {}, status_code, other_attributes FROM spans \
         WHERE {} AND ({}) AND ({}) AND {}",
        called::columns(),
        column::START,
        column::DURATION,
        started_in(side.timeline.window),
        times.join(" OR "),
        names.join(" OR "),
        side.scope.conditions(),
    );
    let empty = || Found {
        wanted: wanted.clone(),
        operations: Operations::default(),
        known: Vec::new(),
        candidates: vec![Candidates::default(); wanted.len()],
    };
    Ok(query.fold(&sql, empty).await?.fold.candidates)
}

/// The condition that a span is of an operation, whatever its peer.
fn is_of(operation: &Operation) -> String {
    let [service, name, kind] = [&operation.service, &operation.operation, &operation.kind].map(|text| quoted(text));
    format!("(service_name = {service} AND name = {name} AND kind = {kind})")
}

struct Found {
    wanted: Vec<(Operation, Shows)>,
    operations: Operations,
    /// Of each number which of the wanted ones it is.
    known: Vec<Option<usize>>,
    /// Of each that is wanted.
    candidates: Vec<Candidates>,
}

impl Found {
    fn wanted(&mut self, number: u32) -> Option<usize> {
        while self.known.len() < self.operations.len() {
            let operation = operation_of(self.operations.texts(self.known.len() as u32));
            self.known.push(self.wanted.iter().position(|(wanted, _)| *wanted == operation));
        }
        self.known[number as usize]
    }
}

impl Fold for Found {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let text = |name| TextColumn::of(batch, name);
        let (status, attributes) = (text(column::STATUS_CODE)?, text("other_attributes")?);
        let traces = ids(batch, "trace_id_bytes")?;
        let (starts, durations) = (ints(batch, column::START)?, ints(batch, column::DURATION)?);
        for row in 0..batch.num_rows() {
            let number = called.number(row, &mut self.operations);
            let Some(at) = self.wanted(number) else { continue };
            let took = int(durations, row);
            let intended = attributes.text(row).and_then(intended_start);
            let from_intended = intended.map(|at| took.saturating_add(int(starts, row).saturating_sub(at).max(0)));
            let shows = self.wanted[at].1;
            if let Some(time) = shows.time(took, from_intended, status.text(row) == Some("ERROR")) {
                self.candidates[at].add(time, trace_id(traces, row));
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.candidates.iter_mut().zip(other.candidates).for_each(|(mine, more)| mine.merge(more));
    }

    fn size(&self) -> usize {
        self.operations.size() + self.candidates.iter().map(Candidates::size).sum::<usize>()
    }
}
