//! Rows to a Parquet file: sorted for "one operation over time", with bloom filters for "one trace" and "one user".
//!
//! The order, the encodings and the sizes follow measurements (docs/adr/0007): sorted by service, name and start;
//! zstd 1; delta encoding for times; a dictionary for trace ids, and for texts where a sample of the rows shows that
//! values come again; pages of at most 20,000 rows so that the page index prunes, and of at most 16 KiB so that a trace,
//! which has a row here and there, is read without most of the rest (docs/adr/0023). A column without a value in any row is left
//! out of the file, which every Delta reader shows as nulls. So are the ends of spans where each is its start and
//! duration (docs/adr/0020); whoever reads a file here finds them all the same ([`crate::file_reader`]). Files are written slice by slice
//! ([`FileWriter`]).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use model::schema::{ASSEMBLED, SOUGHT, column, sort_columns, time_column};
use model::{Error, Nanos, Result, Signal};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::file_reader::{broken, told_ends};
use crate::order::{self, Place};
use crate::packed::{self, Packed};
use crate::summary::{self, Expected, Guarded, Summarize};

const PAGE_ROWS: usize = 20_000;
const PAGE_BYTES: usize = 16 << 10;
/// Trace ids are looked through as a whole.
const TRACE_ID_PAGE_BYTES: usize = 1 << 20;
const ROW_GROUP_ROWS: usize = 1_048_576;
const DICTIONARY_BYTES: usize = 4 << 20;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Rows gathered and handed to the encoder at once.
pub const SLICE_ROWS: usize = 8_192;
/// Rows looked at to decide about dictionaries.
const SAMPLE_ROWS: usize = 4_096;

/// An encoded file and what its Add action will say.
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub rows: u64,
    pub times: (Nanos, Nanos),
    pub received: (Nanos, Nanos),
    pub services: Option<(String, String)>,
    pub unsettled: u64,
    pub checksum: u64,
    pub summary: Option<summary::Place>,
}

fn trouble(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("encoding a parquet file: {error}"))
}

/// Sorts and encodes the batches, which must be in the signal's physical schema and hold a row.
pub fn encode(signal: Signal, batches: &[Packed], summarize: &dyn Summarize) -> Result<Encoded> {
    let keys = batches.iter().map(|rows| rows.select(sort_columns(signal))).collect::<Result<Vec<_>>>()?;
    let order = order::sorted(signal, &keys)?;
    let summary = Guarded::begin(summarize, Expected::of(signal, &keys));
    drop(keys);
    let step = (order.len() / SAMPLE_ROWS).max(1);
    let sample: Vec<Place> = order.iter().step_by(step).copied().collect();
    let sample = packed::gather(batches, &sample)?;
    let ends_follow = ends_follow(batches)?;
    let looks = Looks {
        present: &|name| batches.iter().any(|rows| rows.has_values(name)) && !(ends_follow && name == column::END),
        repeats: &|name| repeats(&sample, name),
    };
    let mut writer = FileWriter::new(signal, order.len(), &looks, summary)?;
    for slice in order.chunks(SLICE_ROWS) {
        writer.write(&packed::gather(batches, slice)?)?;
    }
    writer.finish()
}

/// Whether each span ends when its start and duration say, so that a file need not say it too. One that does not, since
/// its end is before its start, makes the file have the column.
fn ends_follow(batches: &[Packed]) -> Result<bool> {
    for rows in batches {
        let rows = rows.select(&[column::START, column::END, column::DURATION])?;
        let ends = rows.column_by_name(column::END).and_then(|ends| ends.as_primitive_opt::<Int64Type>());
        let Some((ends, told)) = ends.zip(told_ends(&rows)?) else { return Ok(false) };
        if ends != told.as_primitive::<Int64Type>() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes one file from slices in the file's order, and gathers what its Add action says.
pub struct FileWriter {
    signal: Signal,
    writer: ArrowWriter<Vec<u8>>,
    /// The columns of the physical schema that the file has.
    columns: Vec<usize>,
    rows: u64,
    times: Option<(Nanos, Nanos)>,
    received: Option<(Nanos, Nanos)>,
    services: Services,
    unsettled: u64,
    summary: Guarded,
}

/// What the rows of a file look like, by the names of their columns.
struct Looks<'a> {
    /// Whether any row has a value.
    present: &'a dyn Fn(&str) -> bool,
    /// Whether a text's values come again and again.
    repeats: &'a dyn Fn(&str) -> bool,
}

/// Least and greatest service so far; unknown once a row has none.
enum Services {
    None,
    Range(String, String),
    Unknown,
}

impl FileWriter {
    /// For `rows` rows that look like those of the files.
    pub fn like(signal: Signal, rows: usize, files: &[bytes::Bytes], summary: Guarded) -> Result<Self> {
        let files = files.iter().map(Columns::of).collect::<Result<Vec<_>>>()?;
        let looks = Looks {
            present: &|name| ASSEMBLED.contains(&name) || files.iter().any(|known| known.all.contains(name)),
            // What assembly fills names few operations, and had no value in files written in a hurry.
            repeats: &|name| {
                ASSEMBLED.contains(&name) || files.iter().any(|known| known.with_dictionary.contains(name))
            },
        };
        FileWriter::new(signal, rows, &looks, summary)
    }

    fn new(signal: Signal, rows: usize, looks: &Looks<'_>, summary: Guarded) -> Result<Self> {
        let all = model::schema::schema(signal);
        let needed = |field: &arrow::datatypes::Field| {
            let name = field.name().as_str();
            !field.is_nullable() || sort_columns(signal).contains(&name) || (looks.present)(name)
        };
        let columns: Vec<usize> = (0..all.fields().len()).filter(|at| needed(all.field(*at))).collect();
        let schema = Arc::new(all.project(&columns).map_err(trouble)?);
        let properties = properties(signal, &schema, rows, looks.repeats)?;
        let writer = ArrowWriter::try_new(Vec::with_capacity(rows * 40), schema, Some(properties)).map_err(trouble)?;
        let (times, received, services) = (None, None, Services::None);
        Ok(FileWriter { signal, writer, columns, rows: 0, times, received, services, unsettled: 0, summary })
    }

    pub fn write(&mut self, slice: &RecordBatch) -> Result<()> {
        self.writer.write(&slice.project(&self.columns).map_err(trouble)?).map_err(trouble)?;
        self.rows += slice.num_rows() as u64;
        widen(&mut self.times, slice, time_column(self.signal));
        widen(&mut self.received, slice, column::RECEIVED);
        self.services.widen(slice);
        if self.signal == Signal::Traces {
            self.unsettled += crate::assemble::unsettled(slice);
        }
        self.summary.add(slice);
        Ok(())
    }

    pub fn finish(mut self) -> Result<Encoded> {
        let summary = self.summary.finish();
        let summary = summary.map(|summary| append(&mut self.writer, &summary)).transpose()?;
        let bytes = self.writer.into_inner().map_err(trouble)?;
        Ok(Encoded {
            rows: self.rows,
            times: self.times.unwrap_or((0, 0)),
            received: self.received.unwrap_or((0, 0)),
            services: match self.services {
                Services::Range(least, greatest) => Some((least, greatest)),
                Services::None | Services::Unknown => None,
            },
            unsettled: self.unsettled,
            checksum: xxhash_rust::xxh3::xxh3_64(&bytes),
            bytes,
            summary,
        })
    }
}

/// Puts bytes behind the last row group.
fn append(writer: &mut ArrowWriter<Vec<u8>>, bytes: &[u8]) -> Result<summary::Place> {
    writer.flush().map_err(trouble)?;
    let start = writer.bytes_written() as u64;
    writer.write_all(bytes).map_err(trouble)?;
    Ok(summary::Place::of(bytes, start))
}

/// Makes the bounds hold what a column of times has.
pub fn widen(bounds: &mut Option<(Nanos, Nanos)>, slice: &RecordBatch, name: &str) {
    let column = slice.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let Some((least, greatest)) = column.and_then(arrow::compute::min).zip(column.and_then(arrow::compute::max)) else {
        return;
    };
    let (a, b) = bounds.unwrap_or((least, greatest));
    *bounds = Some((a.min(least), b.max(greatest)));
}

impl Services {
    fn widen(&mut self, slice: &RecordBatch) {
        let names = slice.column_by_name(column::SERVICE_NAME).and_then(|c| c.as_string_view_opt());
        let Some(names) = names.filter(|n| n.null_count() == 0) else {
            *self = Services::Unknown;
            return;
        };
        let bounds = arrow::compute::min_string_view(names).zip(arrow::compute::max_string_view(names));
        let Some((least, greatest)) = bounds else { return };
        match self {
            Services::None => *self = Services::Range(least.to_owned(), greatest.to_owned()),
            Services::Range(a, b) => {
                if least < a.as_str() {
                    least.clone_into(a);
                }
                if greatest > b.as_str() {
                    greatest.clone_into(b);
                }
            }
            Services::Unknown => {}
        }
    }
}

/// The top-level columns of a file.
struct Columns {
    all: HashSet<String>,
    with_dictionary: HashSet<String>,
}

impl Columns {
    fn of(file: &bytes::Bytes) -> Result<Self> {
        use parquet::file::reader::{FileReader as _, SerializedFileReader};
        let reader = SerializedFileReader::new(file.clone()).map_err(broken)?;
        let fields = reader.metadata().file_metadata().schema_descr().root_schema().get_fields();
        let chunks = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
        let with_one = chunks.filter(|chunk| chunk.dictionary_page_offset().is_some());
        Ok(Columns {
            all: fields.iter().map(|field| field.name().to_owned()).collect(),
            with_dictionary: with_one.map(|chunk| chunk.column_path().string()).collect(),
        })
    }
}

/// Whether a text column's values come again and again, as far as a sample of the rows tells.
fn repeats(sample: &RecordBatch, name: &str) -> bool {
    let values = sample.column_by_name(name).and_then(|c| c.as_string_view_opt());
    let Some(values) = values else { return true };
    let present = values.len() - values.null_count();
    let distinct: HashSet<&str> = values.iter().flatten().collect();
    present < 64 || distinct.len() * 2 < present
}

fn properties(
    signal: Signal,
    schema: &SchemaRef,
    rows: usize,
    repeats: &dyn Fn(&str) -> bool,
) -> Result<WriterProperties> {
    let sorting = sort_columns(signal).iter().filter_map(|name| schema.index_of(name).ok());
    let sorting =
        sorting.map(|at| SortingColumn { column_idx: leaf(schema, at), descending: false, nulls_first: true });
    let mut builder = WriterProperties::builder()
        // The second version of data pages, for the dictionary of trace ids.
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(trouble)?))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_column_data_page_size_limit(ColumnPath::from(column::TRACE_ID), TRACE_ID_PAGE_BYTES)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting.collect()))
        .set_created_by(concat!("hotspan version ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in schema.fields() {
        let (path, name) = (ColumnPath::from(field.name().as_str()), field.name().as_str());
        builder = match field.data_type() {
            DataType::FixedSizeBinary(_) => ids(builder, path, name),
            // One value for all rows of an export: zstd finds it again.
            DataType::Int64 if name == column::RECEIVED => {
                builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::PLAIN)
            }
            // One value for all rows of a trace.
            DataType::Int64 if name == column::ENTRY_START => {
                builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            DataType::Int64 if name.ends_with("_unix_nano") || name.ends_with("_ns") => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            DataType::Boolean => builder.set_column_encoding(path, Encoding::RLE),
            DataType::Utf8View => texts(builder, path, name, repeats(name)),
            _ => builder,
        };
        if name == column::TRACE_ID || SOUGHT.contains(&name) {
            let path = ColumnPath::from(name);
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path, rows.clamp(1_000, ROW_GROUP_ROWS) as u64);
        }
    }
    Ok(builder.build())
}

/// A trace's id stands in a dozen rows, so a dictionary stores it once; a span's id does not come again.
fn ids(builder: WriterPropertiesBuilder, path: ColumnPath, name: &str) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(path.clone(), name == column::TRACE_ID)
        .set_column_encoding(path.clone(), Encoding::PLAIN)
        .set_column_statistics_enabled(path, EnabledStatistics::None)
}

/// A dictionary of values that hardly repeat costs more than it saves, in time and in bytes.
fn texts(builder: WriterPropertiesBuilder, path: ColumnPath, name: &str, repeats: bool) -> WriterPropertiesBuilder {
    let builder = match name {
        column::ATTRIBUTES | column::RESOURCE_ATTRIBUTES => {
            builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
        }
        _ => builder,
    };
    builder
        .set_column_dictionary_enabled(path.clone(), repeats)
        .set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
}

/// The position of a top-level column among the Parquet leaves.
fn leaf(schema: &Schema, at: usize) -> i32 {
    fn leaves(ty: &DataType) -> i32 {
        match ty {
            DataType::List(item) => leaves(item.data_type()),
            DataType::Struct(fields) => fields.iter().map(|f| leaves(f.data_type())).sum(),
            _ => 1,
        }
    }
    schema.fields()[..at].iter().map(|f| leaves(f.data_type())).sum()
}
