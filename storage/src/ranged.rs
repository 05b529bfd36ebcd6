//! A stored Parquet file read by parts: its footer, its filters, a column. For looking into many files without fetching
//! them whole.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use model::Error;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::delta::DataFile;

/// What an error of reading a stored file is to those who need the file: one that is not there is damage, anything else
/// may pass.
pub fn unreadable(error: &object_store::Error) -> Error {
    let text = format!("cannot be read: {error}");
    match error {
        object_store::Error::NotFound { .. } => Error::corrupt(text),
        _ => Error::unavailable(text),
    }
}

/// The same of an error that a [`Ranged`] met, or its file's bytes.
pub fn broken(error: &ParquetError) -> Error {
    match error {
        ParquetError::External(source) if let Some(error) = source.downcast_ref() => unreadable(error),
        _ => Error::corrupt(format!("cannot be read: {error}")),
    }
}

/// As [`broken`] finds it again.
fn met(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

pub struct Ranged {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl Ranged {
    pub fn new(objects: Arc<dyn ObjectStore>, file: &DataFile) -> Self {
        Ranged { objects, path: Path::from(file.path.as_str()), size: file.size }
    }
}

impl AsyncFileReader for Ranged {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let got = async move { self.objects.get_range(&self.path, range).await };
        got.map(|got| got.map_err(met)).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let got = async move { self.objects.get_ranges(&self.path, &ranges).await };
        got.map(|got| got.map_err(met)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}
