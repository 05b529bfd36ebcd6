//! Traces that show what differs: of the selection those whose span has the value that sets it apart the most, of the other
//! side those whose span has not; typical ones ([`super::super::examples`]), of one operation, so that both sides are alike
//! but for that.

use std::collections::HashMap;

use arrow::array::{Array, Int64Array, RecordBatch};
use model::Result;
use model::schema::{PROMOTED_SPAN, PromotedType, column};
use serde_json::{Value, json};

use super::super::batch::{ids, int, ints, trace_id};
use super::super::examples::Candidates;
use super::super::members::Members;
use super::super::names::{Names, TextColumn};
use super::{INTRINSIC, Question};
use crate::fold::Fold;
use crate::query::Query;

/// Example traces of each side.
const EXEMPLARS: usize = 10;
/// Operations that are told apart; spans of further ones are no examples.
const MOST_OPERATIONS: usize = 500;

/// A value that is more common in the selection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    key: String,
    value: String,
    /// The column that has the key.
    column: &'static str,
    kind: ColumnKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ColumnKind {
    Text,
    Int,
    /// Its members are the keys.
    Json,
}

impl Difference {
    /// Of a row of the answer; `None` where it is rather what the selection lacks.
    pub fn of(row: &Value) -> Option<Difference> {
        let text = |name: &str| row[name].as_str();
        let (key, value) = (text("key")?.to_owned(), text("value")?.to_owned());
        let (column, kind) = match text("scope")? {
            "intrinsic" => (INTRINSIC.iter().find(|(_, of)| *of == key)?.0, ColumnKind::Text),
            "resource" => ("resource_attributes", ColumnKind::Json),
            _ => match PROMOTED_SPAN.iter().find(|promoted| promoted.key == key) {
                Some(promoted) if promoted.ty == PromotedType::Int => (promoted.column, ColumnKind::Int),
                Some(promoted) => (promoted.column, ColumnKind::Text),
                None => ("other_attributes", ColumnKind::Json),
            },
        };
        (row["score"].as_f64()? > 0.0).then_some(Difference { key, value, column, kind })
    }
}

/// Example traces of both sides, with what they are of.
pub(super) async fn examples(query: &Query, question: &Question, difference: Option<Difference>) -> Result<Value> {
    let sql = format!(
        "SELECT CASE WHEN {} THEN 0 ELSE 1 END AS side, trace_id_bytes, service_name AS of_service, name AS of_name, \
                {} AS took, {} AS of_key FROM spans WHERE {}",
        question.selected,
        column::DURATION,
        difference.as_ref().map_or("NULL", |difference| difference.column),
        question.spans
    );
    let empty = || Shown { difference: difference.clone(), names: Names::default(), by_operation: HashMap::new() };
    let shown = query.fold(&sql, empty).await?.fold;
    Ok(shown.examples())
}

/// Spans that show it, by the numbers of their service and name, on either side.
struct Shown {
    difference: Option<Difference>,
    names: Names,
    by_operation: HashMap<(u32, u32), [Candidates; 2]>,
}

impl Shown {
    /// Of the operation of which most selected spans show it.
    fn examples(self) -> Value {
        let names = |key: &(u32, u32)| (self.names.text(key.0), self.names.text(key.1));
        let most = self.by_operation.iter().max_by(|(a, [spans_a, _]), (b, [spans_b, _])| {
            spans_a.spans.cmp(&spans_b.spans).then_with(|| names(b).cmp(&names(a)))
        });
        let Some((key, [selection, baseline])) = most else {
            return json!({"selection": [], "baseline": [], "of": null});
        };
        let (service, operation) = names(key);
        let shows = self.difference.as_ref().map(|d| json!({"key": d.key, "value": d.value}));
        json!({
            "selection": selection.clone().typical(EXEMPLARS),
            "baseline": baseline.clone().typical(EXEMPLARS),
            "of": {"service": service, "operation": operation, "shows": shows},
        })
    }

    fn place(&mut self, key: (u32, u32)) -> Option<&mut [Candidates; 2]> {
        let is_full = self.by_operation.len() >= MOST_OPERATIONS && !self.by_operation.contains_key(&key);
        (!is_full).then(|| self.by_operation.entry(key).or_default())
    }
}

/// The column of one batch that says which spans have the value.
enum Carrier<'a> {
    /// Every span shows it.
    All,
    Text(TextColumn<'a>, &'a str),
    Int(&'a Int64Array, Option<i64>),
    /// With what is known of the texts so far, by their number.
    Json(TextColumn<'a>, &'a Difference, Names, Vec<bool>),
}

impl<'a> Carrier<'a> {
    fn of(batch: &'a RecordBatch, difference: Option<&'a Difference>) -> Result<Self> {
        let Some(difference) = difference else { return Ok(Carrier::All) };
        Ok(match difference.kind {
            ColumnKind::Text => Carrier::Text(TextColumn::of(batch, "of_key")?, &difference.value),
            ColumnKind::Int => Carrier::Int(ints(batch, "of_key")?, difference.value.parse().ok()),
            ColumnKind::Json => {
                Carrier::Json(TextColumn::of(batch, "of_key")?, difference, Names::default(), Vec::new())
            }
        })
    }

    /// Whether the span of a row has the value; `None` where it is not asked.
    fn has(&mut self, row: usize) -> Option<bool> {
        match self {
            Carrier::All => None,
            Carrier::Text(column, value) => Some(column.text(row) == Some(*value)),
            Carrier::Int(column, value) => Some(!column.is_null(row) && Some(column.value(row)) == *value),
            Carrier::Json(column, wanted, names, known) => {
                let number = column.number(row, names) as usize;
                while known.len() <= number {
                    let object = names.text(known.len() as u32);
                    known.push(Members::of(object).any(|(key, value)| key == wanted.key && value == wanted.value));
                }
                Some(known[number])
            }
        }
    }
}

impl Fold for Shown {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let (side, took) = (ints(batch, "side")?, ints(batch, "took")?);
        let traces = ids(batch, "trace_id_bytes")?;
        let (mut services, mut operations) = (TextColumn::of(batch, "of_service")?, TextColumn::of(batch, "of_name")?);
        let difference = self.difference.clone();
        let mut carrier = Carrier::of(batch, difference.as_ref())?;
        for row in 0..batch.num_rows() {
            let side = side.value(row) as usize;
            if carrier.has(row).is_some_and(|has| has != (side == 0)) {
                continue;
            }
            let key = (services.number(row, &mut self.names), operations.number(row, &mut self.names));
            if let Some(sides) = self.place(key) {
                sides[side].add(int(took, row), trace_id(traces, row));
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let names = self.names.take_in(&other.names);
        for ((service, operation), more) in other.by_operation {
            let key = (names[service as usize], names[operation as usize]);
            if let Some(sides) = self.place(key) {
                sides.iter_mut().zip(more).for_each(|(mine, more)| mine.merge(more));
            }
        }
    }

    fn size(&self) -> usize {
        let of = |sides: &[Candidates; 2]| sides.iter().map(Candidates::size).sum::<usize>();
        self.names.size() + self.by_operation.values().map(of).sum::<usize>()
    }
}
