//! The tables SQL sees: for each signal a physical table over a snapshot ([`provider`]) under a view with the
//! stable columns of interface.md ([`view`]), and the rules that turn conditions on the view into conditions on
//! what is stored ([`rewrite`]), so that files, row groups and pages are skipped.
//!
//! ```text
//! SELECT … FROM spans WHERE trace_id = '4bf9…'
//!   view:      hex(trace_id) = '4bf9…'          projection over the physical scan, pruned to the columns used
//!   rewrite:   trace_id = X'4bf9…'              bloom filters and statistics apply
//!   provider:  memory ∪ log ∪ Parquet files     files outside the times asked for are not opened
//! ```

pub(crate) mod backlog;
pub(crate) mod bloom;
pub mod describe;
mod ends;
pub mod join;
pub(crate) mod memory;
pub mod newest;
pub mod provider;
pub mod prune;
pub mod rewrite;
pub mod runs;
pub mod text_conditions;
pub mod view;
mod waiting;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::common::Result;
use model::Signal;
use storage::Snapshot;

use provider::PhysicalTable;

/// The catalog and schema that hold the tables of the views.
pub const CATALOG: &str = "hotspan";
pub const SCHEMA: &str = "public";
/// The schema of the physical tables; only our own queries have it.
pub const PHYSICAL: &str = "physical";
/// The table of stress-test runs.
const RUNS: &str = "runs";

/// Who is asking: users see the views, our analyses the physical tables too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    User,
    Internal,
}

/// One tenant's catalog over one snapshot. It holds nothing of any other tenant.
pub fn catalog(snapshot: &Snapshot, audience: Audience) -> Result<Arc<dyn CatalogProviderList>> {
    let catalog = MemoryCatalogProvider::new();
    let tables = |made: fn(&Snapshot, Audience, &str) -> Made| Tables { snapshot: snapshot.clone(), audience, made };
    catalog.register_schema(SCHEMA, Arc::new(tables(shown)))?;
    if audience == Audience::Internal {
        catalog.register_schema(PHYSICAL, Arc::new(tables(stored)))?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}

/// `None` when there is no table of that name.
type Made = Result<Option<Arc<dyn TableProvider>>>;

/// A schema of which each table is made when a statement names it: it takes longer to make all than to answer some questions.
#[derive(Debug)]
struct Tables {
    snapshot: Snapshot,
    audience: Audience,
    made: fn(&Snapshot, Audience, &str) -> Made,
}

fn stored(snapshot: &Snapshot, _: Audience, name: &str) -> Made {
    let signal = Signal::ALL.into_iter().find(|signal| signal.table() == name);
    Ok(signal.map(|signal| -> Arc<dyn TableProvider> { Arc::new(PhysicalTable::new(snapshot, signal)) }))
}

fn shown(snapshot: &Snapshot, audience: Audience, name: &str) -> Made {
    if name == RUNS {
        return Ok(Some(Arc::new(runs::table(&snapshot.runs)?)));
    }
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.table() == name) else { return Ok(None) };
    view::view(signal, Arc::new(PhysicalTable::new(snapshot, signal)), audience).map(Some)
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let names = Signal::ALL.iter().map(|signal| signal.table()).chain([RUNS]);
        names.filter(|name| self.table_exist(name)).map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> Made {
        (self.made)(&self.snapshot, self.audience, name)
    }

    fn table_exist(&self, name: &str) -> bool {
        (self.made)(&self.snapshot, self.audience, name).is_ok_and(|table| table.is_some())
    }
}
