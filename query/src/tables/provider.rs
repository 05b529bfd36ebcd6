//! A physical table: the rows of one signal in one snapshot, from memory, from the log where memory was short, and from
//! Parquet files.
//!
//! Conditions are given to the scan (it drops files by them) and stay above it as well; DataFusion then pushes them
//! down into the Parquet reader and leaves a filter over the memory part. When a column that assembly fills is asked
//! for, the memory part is the assembled one.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use model::schema::{self, ASSEMBLED};
use model::{Nanos, Signal};
use object_store::ObjectStore;
use storage::delta::DataFile;
use storage::{Snapshot, TableSnapshot};

use super::backlog;
use super::bloom::Asking;
use super::ends::ToldEnds;
use super::memory;
use super::prune::Bounds;
use super::waiting;
use crate::query::Asker;

/// Where scans find the snapshot's object store (`session::store` answers only to this).
pub const STORE_URL: &str = "hotspan://snapshot";
/// Bytes of a file's end fetched at once; the footer of a file of 1 M rows fits.
pub const FOOTER_HINT: usize = 256 << 10;

pub struct PhysicalTable {
    table: TableSnapshot,
    objects: Arc<dyn ObjectStore>,
    taken: Nanos,
    schema: SchemaRef,
}

impl std::fmt::Debug for PhysicalTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PhysicalTable({}, {} files)", self.table.signal.table(), self.table.files.len())
    }
}

impl PhysicalTable {
    pub fn new(snapshot: &Snapshot, signal: Signal) -> Self {
        PhysicalTable {
            table: snapshot.table(signal).clone(),
            objects: snapshot.objects.clone(),
            taken: snapshot.taken,
            schema: schema::schema(signal),
        }
    }

    fn wants_assembled(&self, projection: Option<&Vec<usize>>) -> bool {
        let assembled = |at: usize| ASSEMBLED.contains(&self.schema.field(at).name().as_str());
        self.table.signal == Signal::Traces && projection.is_none_or(|columns| columns.iter().any(|at| assembled(*at)))
    }

    /// The memory part.
    async fn memory(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let memory = if self.wants_assembled(projection) && self.table.batches() > 0 {
            memory::assembled(&self.table, self.taken).await?
        } else {
            self.table.memory()
        };
        let time = schema::time_column(self.table.signal);
        let memory = memory::wanted(state, &self.schema, time, filters, memory);
        let parts = state.config().target_partitions().clamp(1, memory.len().max(1));
        let mut partitions = vec![Vec::new(); parts];
        for (at, part) in memory.into_iter().enumerate() {
            partitions[at % parts].push(part.rows);
        }
        waiting::scan(&self.schema, partitions, projection, limit, self.table.lease())
    }

    fn readers(&self, state: &dyn Session) -> CachedParquetFileReaderFactory {
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        CachedParquetFileReaderFactory::new(self.objects.clone(), cache)
    }

    fn files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        files: &[Arc<DataFile>],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let reader = self.readers(state);
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(parquet_options(state))
            .with_metadata_size_hint(FOOTER_HINT)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let parts = state.config().target_partitions().clamp(1, files.len().max(1));
        let groups = balanced(files, parts).into_iter();
        let groups = groups.map(|files| FileGroup::new(files.into_iter().map(|file| self.partitioned(file)).collect()));
        let rows: u64 = if files.iter().any(|f| f.rows == 0) { 0 } else { files.iter().map(|f| f.rows).sum() };
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
            .with_file_groups(groups.collect())
            .with_statistics(self.statistics(rows, None))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(ToldEnds)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn partitioned(&self, file: &DataFile) -> PartitionedFile {
        let known = file.min_time > i64::MIN && file.max_time < i64::MAX;
        let times = known.then_some((file.min_time, file.max_time));
        PartitionedFile::new(file.path.clone(), file.size).with_statistics(Arc::new(self.statistics(file.rows, times)))
    }

    fn statistics(&self, rows: u64, times: Option<(Nanos, Nanos)>) -> Statistics {
        let mut columns = vec![ColumnStatistics::new_unknown(); self.schema.fields().len()];
        let time = self.schema.index_of(schema::time_column(self.table.signal));
        if let (Ok(at), Some((least, greatest))) = (time, times) {
            columns[at].min_value = Precision::Exact(ScalarValue::Int64(Some(least)));
            columns[at].max_value = Precision::Exact(ScalarValue::Int64(Some(greatest)));
        }
        // A file of another program may not tell its number of rows.
        let num_rows =
            if rows == 0 { Precision::Absent } else { Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX)) };
        Statistics { num_rows, total_byte_size: Precision::Absent, column_statistics: columns }
    }
}

/// Spreads files over `parts` groups of like size: the largest first, each to the group that has least. Within a group
/// the newest rows come first, since those are asked for ([`super::newest`]).
fn balanced(files: &[Arc<DataFile>], parts: usize) -> Vec<Vec<&Arc<DataFile>>> {
    let mut groups: Vec<(u64, Vec<&Arc<DataFile>>)> = vec![(0, Vec::new()); parts];
    let mut sorted: Vec<&Arc<DataFile>> = files.iter().collect();
    sorted.sort_by_key(|file| std::cmp::Reverse(file.size));
    for file in sorted {
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.size;
            group.push(file);
        }
    }
    for (_, files) in &mut groups {
        files.sort_by_key(|file| std::cmp::Reverse(file.max_time));
    }
    groups.into_iter().map(|(_, files)| files).collect()
}

/// Rows are filtered while they are decoded, cheapest condition first, after bloom filters and the page index.
fn parquet_options(state: &dyn Session) -> TableParquetOptions {
    let mut options =
        TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
    options.global.pushdown_filters = true;
    options.global.reorder_filters = true;
    options.global.bloom_filter_on_read = true;
    options.global.enable_page_index = true;
    options.global.pruning = true;
    options
}

#[async_trait]
impl TableProvider for PhysicalTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bounds = Bounds::of(filters, schema::time_column(self.table.signal));
        let mut files: Vec<_> = self.table.files.iter().filter(|f| bounds.may_match(f)).cloned().collect();
        if let Some(sought) = &bounds.sought {
            let query = state.config().get_extension::<Asker>().and_then(|asker| asker.query());
            let asking = Asking {
                objects: &self.objects,
                readers: &self.readers(state),
                footer_hint: FOOTER_HINT,
                kept: query.as_ref().map(|query| &query.pieces().filters),
            };
            files = asking.holding(files, sought).await;
        }
        let threads = state.config().target_partitions();
        let mut parts = Vec::new();
        if !files.is_empty() {
            parts.push(self.files(state, projection, &files, limit)?);
        }
        let (least, greatest) = bounds.time;
        let backlog = self.table.backlog.iter().flat_map(|b| b.within(least, greatest, threads)).collect();
        parts.extend(backlog::scan(self.schema.clone(), backlog, projection, limit)?);
        if parts.is_empty() || self.table.batches() > 0 {
            parts.insert(0, self.memory(state, projection, filters, limit).await?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}
