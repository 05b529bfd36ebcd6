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

mod backlog;
pub(crate) mod bloom;
pub mod describe;
mod ends;
pub mod join;
mod memory;
pub mod newest;
pub mod provider;
pub mod prune;
pub mod rewrite;
pub mod runs;
pub mod text_conditions;
pub mod view;
mod waiting;

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::catalog::{CatalogProviderList, TableProvider};
use datafusion::common::Result;
use model::Signal;
use storage::Snapshot;

use provider::PhysicalTable;

/// The catalog and schema that hold the tables of the views.
pub const CATALOG: &str = "hotspan";
pub const SCHEMA: &str = "public";
/// The schema of the physical tables; only our own queries have it.
pub const PHYSICAL: &str = "physical";

/// Who is asking: users see the views, our analyses the physical tables too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    User,
    Internal,
}

/// One tenant's catalog over one snapshot. It holds nothing of any other tenant.
pub fn catalog(snapshot: &Snapshot, audience: Audience) -> Result<Arc<dyn CatalogProviderList>> {
    let (public, physical) = (MemorySchemaProvider::new(), MemorySchemaProvider::new());
    for signal in Signal::ALL {
        let table: Arc<dyn TableProvider> = Arc::new(PhysicalTable::new(snapshot, signal));
        public.register_table(signal.table().to_owned(), view::view(signal, table.clone(), audience)?)?;
        physical.register_table(signal.table().to_owned(), table)?;
    }
    public.register_table("runs".to_owned(), Arc::new(runs::table(&snapshot.runs)?))?;
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(public))?;
    if audience == Audience::Internal {
        catalog.register_schema(PHYSICAL, Arc::new(physical))?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}
