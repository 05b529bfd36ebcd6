//! Runs that only spans tell of, by the attribute of a span or of its resource.
//!
//! A span's attribute has a column, whose statistics let files be skipped. A resource's is in JSON that many spans share, so
//! that is read once of each file: which runs it names is kept by the file's path, since a file never changes.
//!
//! ```text
//! test_run_id ─────────────────────────────SQL─▶ ┐
//! resources ─┬─ of files ─▶ kept, or found now ─▶ ├─ by name: first start, last end
//!            └─ of memory and log, each time ───▶ ┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;
use model::run::RUN_ATTRIBUTE;
use model::schema::column;
use model::{Kind, Nanos, Result, Signal};
use storage::delta::DataFile;

use super::super::members::Members;
use super::super::names::{Names, TextColumn};
use super::super::partial::alone;
use super::super::per_file::Size;
use super::super::rows::read;
use super::super::scope::quoted;
use crate::fold::Fold;
use crate::query::Query;

/// Runs by what spans name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named(BTreeMap<String, Times>);

/// The first start and the last end of the spans of a run.
type Times = (Nanos, Nanos);

/// Files that one question looks at alone; the resources of what is beyond are read each time.
const MOST_FILES: usize = 1_024;
/// As many of them at a time.
const AT_ONCE: usize = 2;

impl Named {
    fn add(&mut self, name: &str, (start, end): Times) {
        if name.is_empty() {
            return;
        }
        let times = self.0.entry(name.to_owned()).or_insert((start, end));
        *times = (times.0.min(start), times.1.max(end));
    }

    fn take_in(&mut self, more: &Named) {
        more.0.iter().for_each(|(name, times)| self.add(name, *times));
    }

    /// Names with the first start and the last end.
    pub fn all(self) -> impl Iterator<Item = (String, Times)> {
        self.0.into_iter()
    }
}

impl Size for Named {
    fn size(&self) -> usize {
        self.0.keys().map(|name| name.len() + 96).sum()
    }
}

/// All runs that spans name, or the one of this name.
pub async fn named(query: &Query, wanted: Option<&str>) -> Result<Named> {
    let mut all = by_spans(query, wanted).await?;
    let by_resources = by_resources(query).await?;
    let chosen = by_resources.all().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name));
    chosen.for_each(|(name, times)| all.add(&name, times));
    Ok(all)
}

async fn by_spans(query: &Query, wanted: Option<&str>) -> Result<Named> {
    let which = wanted.map_or("IS NOT NULL".to_owned(), |name| format!("= {}", quoted(name)));
    let sql = format!(
        "SELECT test_run_id AS id, min({}) AS s, max({}) AS e FROM spans WHERE test_run_id {which} GROUP BY 1",
        column::START,
        column::END,
    );
    let mut named = Named::default();
    for row in read(query, &sql).await?.iter() {
        named.add(row.text("id"), (row.int("s"), row.int("e")));
    }
    Ok(named)
}

async fn by_resources(query: &Query) -> Result<Named> {
    let table = query.snapshot().table(Signal::Traces);
    query.pieces().runs.begin();
    let files: Vec<Arc<DataFile>> = table.files.iter().take(MOST_FILES).cloned().collect();
    let rest: Vec<Arc<DataFile>> = table.files.iter().skip(MOST_FILES).cloned().collect();
    let mut found = std::pin::pin!(futures::stream::iter(files).map(|file| of_file(query, file)).buffered(AT_ONCE));
    let mut all = Named::default();
    while let Some(named) = found.next().await {
        all.take_in(named?.as_ref());
    }
    all.take_in(&of_rows(&query.of_table(table.clone().with_files(rest.into()))).await?);
    Ok(all)
}

async fn of_file(query: &Query, file: Arc<DataFile>) -> Result<Arc<Named>> {
    let cache = &query.pieces().runs;
    if let Some(Some(known)) = cache.get(&file.path) {
        return Ok(known);
    }
    let named = match of_rows(&alone(query, Signal::Traces, &file)).await {
        // A damaged file keeps no list of runs back; scrubbing tells of it.
        Err(error) if error.kind == Kind::Corrupt => {
            tracing::warn!(path = file.path, %error, "which runs a file's resources name is not known");
            return Ok(Arc::default());
        }
        named => Arc::new(named?),
    };
    cache.keep(&file.path, Some(named.clone()));
    Ok(named)
}

/// Read twice only where a resource names a run: texts alone are read fast, being the same for many rows.
async fn of_rows(query: &Query) -> Result<Named> {
    let seen = query.fold("SELECT resource_attributes FROM spans", Resources::default).await?.fold;
    let mut named = Named::default();
    if !seen.names.iter().any(|resource| run_of(resource).is_some()) {
        return Ok(named);
    }
    let sql = format!(
        "SELECT resource_attributes AS r, min({}) AS s, max({}) AS e FROM spans \
         WHERE resource_attributes LIKE '%\"{RUN_ATTRIBUTE}\"%' GROUP BY 1",
        column::START,
        column::END,
    );
    for row in read(query, &sql).await?.iter() {
        if let Some(name) = run_of(row.text("r")) {
            named.add(&name, (row.int("s"), row.int("e")));
        }
    }
    Ok(named)
}

/// The run that a resource names, as text whatever it was sent as.
fn run_of(resource: &str) -> Option<String> {
    // Most name none, and finding the bytes is faster than reading the members.
    if !resource.contains(RUN_ATTRIBUTE) {
        return None;
    }
    let named = Members::of(resource).find(|(key, _)| key == RUN_ATTRIBUTE);
    named.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty() && value != "null")
}

/// The different resources of some rows.
#[derive(Default)]
struct Resources {
    names: Names,
}

impl Fold for Resources {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut resources = TextColumn::of(batch, "resource_attributes")?;
        for row in 0..batch.num_rows() {
            resources.number(row, &mut self.names);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.names.take_in(&other.names);
    }

    fn size(&self) -> usize {
        self.names.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_names_a_run_by_the_attribute_and_by_nothing_else() {
        assert_eq!(run_of(r#"{"service.name":"shop","test.run.id":"peak \"1\""}"#).as_deref(), Some("peak \"1\""));
        assert_eq!(run_of(r#"{"test.run.id":7}"#).as_deref(), Some("7"));
        for other in ["", "{}", r#"{"a":"test.run.id"}"#, r#"{"a":{"test.run.id":"x"}}"#, r#"{"test.run.id":""}"#] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_run_goes_from_its_first_span_to_its_last() {
        let (mut a, mut b) = (Named::default(), Named::default());
        a.add("r", (5, 9));
        b.add("r", (3, 7));
        b.add("s", (1, 2));
        b.add("", (0, 1));
        a.take_in(&b);
        let all: Vec<_> = a.all().collect();
        assert_eq!(all, [("r".to_owned(), (3, 9)), ("s".to_owned(), (1, 2))]);
    }
}
