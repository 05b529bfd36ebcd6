//! Which files can hold a trace or a user, asked of one block of each file's bloom filters instead of all of them.
//!
//! A split-block bloom filter keeps all bits of a value in one block of 32 bytes (Parquet format, "Bloom Filter"; Putze,
//! Sanders and Singler, Cache-, Hash- and Space-Efficient Bloom Filters, JEA 14, 2009). A filter of a million traces is
//! a megabyte, so reading blocks makes the search for one value cost the number of files and not their size.
//!
//! *Invariant:* whatever cannot be read or understood here keeps its file: the scan asks the filters again.

use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;
use model::schema::{SOUGHT, column};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use storage::delta::DataFile;
use xxhash_rust::xxh64::xxh64;

use super::prune::Sought;
use crate::analysis::per_file::{PerFile, Size};

/// Files that are asked at once.
const AT_ONCE: usize = 8;
/// Bytes of a block.
const BLOCK: u64 = 32;
/// A filter has its header before it, which has about 16 bytes.
const LONGEST_HEADER: u64 = 64;

/// Where the filters of one file lie: of each column that people look for one of each row group. Kept for each file, since
/// a footer takes a thousand times the bytes of a block and there may be more of them than a cache holds.
pub struct Filters(Vec<(&'static str, OfColumn)>);

/// Empty where the file lacks the column, which then has no value in any row; `None` where a row group has no filter, or
/// one that is not understood.
type OfColumn = Option<Vec<Filter>>;

/// The first block of a filter and their number.
struct Filter {
    first: u64,
    blocks: u64,
}

impl Size for Filters {
    fn size(&self) -> usize {
        let filters: usize = self.0.iter().flat_map(|(_, groups)| groups).map(Vec::len).sum();
        self.0.len() * size_of::<(&str, OfColumn)>() + filters * size_of::<Filter>()
    }
}

impl Filters {
    fn of(metadata: &ParquetMetaData) -> Self {
        let columns = metadata.file_metadata().schema_descr().columns();
        let groups = metadata.row_groups();
        let known = |name: &'static str| {
            let at = columns.iter().position(|column| column.path().string() == name);
            let of_groups = |at| groups.iter().map(|group| Filter::of(group, at)).collect();
            (name, at.map_or(Some(Vec::new()), of_groups))
        };
        Filters([column::TRACE_ID].iter().chain(SOUGHT).map(|name| known(name)).collect())
    }
}

impl Filter {
    fn of(group: &RowGroupMetaData, at: usize) -> Option<Self> {
        let chunk = group.column(at);
        let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
        let length = u64::try_from(chunk.bloom_filter_length()?).ok()?;
        // A filter's size is a power of two; what is over is its header.
        let size = 1 << length.checked_ilog2()?;
        let header = length - size;
        let understood = size >= BLOCK && header > 0 && header <= LONGEST_HEADER;
        understood.then_some(Filter { first: start + header, blocks: size / BLOCK })
    }
}

/// How files are asked.
pub struct Asking<'a> {
    pub objects: &'a Arc<dyn ObjectStore>,
    pub readers: &'a dyn ParquetFileReaderFactory,
    pub footer_hint: usize,
    /// What is known of files.
    pub kept: Option<&'a PerFile<Filters>>,
}

impl Asking<'_> {
    /// Those of the files that can hold the value.
    pub async fn holding(&self, files: Vec<Arc<DataFile>>, sought: &Sought) -> Vec<Arc<DataFile>> {
        if let Some(kept) = self.kept {
            kept.begin();
        }
        let ask =
            |file: Arc<DataFile>| async move { self.may_hold(&file, sought).await.unwrap_or(true).then_some(file) };
        futures::stream::iter(files).map(ask).buffered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    /// `None` when nothing is known.
    async fn may_hold(&self, file: &DataFile, Sought { column, value }: &Sought) -> Option<bool> {
        let filters = self.filters(file).await?;
        let (_, groups) = filters.0.iter().find(|(name, _)| name == column)?;
        for filter in groups.as_ref()? {
            let begin = filter.first + BLOCK * block_of(value, filter.blocks);
            // Of a local file, ranges take one turn of a thread, and one range takes two.
            let path = Path::from(file.path.as_str());
            let blocks = self.objects.get_ranges(&path, std::slice::from_ref(&(begin..begin + BLOCK))).await.ok()?;
            if Sbbf::new(blocks.first()?).check(value.as_slice()) {
                return Some(true);
            }
        }
        Some(false)
    }

    async fn filters(&self, file: &DataFile) -> Option<Arc<Filters>> {
        if let Some(known) = self.kept.and_then(|kept| kept.get(&file.path)) {
            return known;
        }
        let found = Arc::new(Filters::of(self.metadata(file).await?.as_ref()));
        if let Some(kept) = self.kept {
            kept.keep(&file.path, Some(found.clone()));
        }
        Some(found)
    }

    /// The footer, from the cache that scans use.
    async fn metadata(&self, file: &DataFile) -> Option<Arc<ParquetMetaData>> {
        let file = PartitionedFile::new(file.path.clone(), file.size);
        let metrics = ExecutionPlanMetricsSet::new();
        let mut reader = self.readers.create_reader(0, file, Some(self.footer_hint), &metrics).ok()?;
        reader.get_metadata(None).await.ok()
    }
}

/// The number of the block, by the upper half of the value's hash (Parquet format, "Bloom Filter").
fn block_of(value: &[u8], blocks: u64) -> u64 {
    ((xxh64(value, 0) >> 32) * blocks) >> 32
}
