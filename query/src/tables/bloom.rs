//! Which files can hold a trace, asked of one block of each file's bloom filters instead of all of them.
//!
//! A split-block bloom filter keeps all bits of a value in one block of 32 bytes (Parquet format, "Bloom Filter"; Putze,
//! Sanders and Singler, Cache-, Hash- and Space-Efficient Bloom Filters, JEA 14, 2009). A filter of a million traces is
//! a megabyte, so reading blocks makes the search for one trace cost the number of files and not their size.
//!
//! *Invariant:* whatever cannot be read or understood here keeps its file: the scan asks the filters again.

use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;
use model::schema::column;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use storage::delta::DataFile;
use xxhash_rust::xxh64::xxh64;

/// Files that are asked at once.
const AT_ONCE: usize = 8;
/// Bytes of a block.
const BLOCK: u64 = 32;
/// A filter has its header before it, which has about 16 bytes.
const LONGEST_HEADER: u64 = 64;

/// Those of the files that can hold the trace.
pub async fn holding(
    objects: &Arc<dyn ObjectStore>,
    readers: &dyn ParquetFileReaderFactory,
    footer_hint: usize,
    files: Vec<Arc<DataFile>>,
    trace: [u8; 16],
) -> Vec<Arc<DataFile>> {
    let ask = |file: Arc<DataFile>| async move {
        let asked = Asked { objects, readers, footer_hint, file: &file };
        asked.may_hold(&trace).await.unwrap_or(true).then_some(file)
    };
    futures::stream::iter(files).map(ask).buffered(AT_ONCE).filter_map(std::future::ready).collect().await
}

struct Asked<'a> {
    objects: &'a Arc<dyn ObjectStore>,
    readers: &'a dyn ParquetFileReaderFactory,
    footer_hint: usize,
    file: &'a Arc<DataFile>,
}

impl Asked<'_> {
    /// `None` when nothing is known.
    async fn may_hold(&self, trace: &[u8; 16]) -> Option<bool> {
        let metadata = self.metadata().await?;
        let columns = metadata.file_metadata().schema_descr().columns();
        let at = columns.iter().position(|column| column.path().string() == column::TRACE_ID)?;
        for group in metadata.row_groups() {
            let block = self.block(group, at, trace).await?;
            if Sbbf::new(&block).check(trace.as_slice()) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The footer, from the cache that scans use.
    async fn metadata(&self) -> Option<Arc<ParquetMetaData>> {
        let file = PartitionedFile::new(self.file.path.clone(), self.file.size);
        let metrics = ExecutionPlanMetricsSet::new();
        let mut reader = self.readers.create_reader(0, file, Some(self.footer_hint), &metrics).ok()?;
        reader.get_metadata(None).await.ok()
    }

    /// The block of a row group's filter that has the trace's bits.
    async fn block(&self, group: &RowGroupMetaData, at: usize, trace: &[u8; 16]) -> Option<bytes::Bytes> {
        let chunk = group.column(at);
        let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
        let length = u64::try_from(chunk.bloom_filter_length()?).ok()?;
        // A filter's size is a power of two; what is over is its header.
        let size = 1 << length.checked_ilog2()?;
        let header = length - size;
        if size < BLOCK || header == 0 || header > LONGEST_HEADER {
            return None;
        }
        let begin = start + header + BLOCK * block_of(trace, size / BLOCK);
        self.objects.get_range(&Path::from(self.file.path.as_str()), begin..begin + BLOCK).await.ok()
    }
}

/// The number of the block, by the upper half of the value's hash (Parquet format, "Bloom Filter").
fn block_of(trace: &[u8; 16], blocks: u64) -> u64 {
    ((xxh64(trace, 0) >> 32) * blocks) >> 32
}
