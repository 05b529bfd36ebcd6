//! From the number of an export to the bytes of its request: generated, compressed, framed.
//!
//! ```text
//! generator ─▶ plain ─┬─────────────────▶ request (gRPC: 5 bytes of prefix before it)
//!                     └▶ gzip | zstd ───▶
//! ```
//! An export differs from all others in its ids and times, so a compressed one has to be compressed anew: per send, or
//! ahead of the run ([`Bodies::prepare`]), when the generator's work is not to disturb what is measured.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};

use super::generator::Generator;
use super::{Encoding, Protocol, Settings};

pub struct Bodies {
    pub generator: Generator,
    encoding: Encoding,
    framed: bool,
    /// The first exports of the run, when they were made ahead.
    prepared: Vec<Bytes>,
    /// Buffers that are not in use.
    buffers: Mutex<Vec<Buffers>>,
}

/// Room for one request; kept from one to the next.
#[derive(Default)]
pub struct Buffers {
    plain: BytesMut,
    compressed: Vec<u8>,
    request: BytesMut,
}

/// Bytes before a gRPC message: whether it is compressed, and its length.
const PREFIX: usize = 5;

impl Bodies {
    pub fn new(generator: Generator, settings: &Settings) -> Self {
        Bodies {
            generator,
            encoding: settings.encoding,
            framed: settings.protocol == Protocol::Grpc,
            prepared: Vec::new(),
            buffers: Mutex::default(),
        }
    }

    /// Makes the first `count` requests of the run ahead, on all cores.
    pub fn prepare(&mut self, count: u64) -> std::io::Result<()> {
        let count = count.min(self.generator.schedule().exports());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicU64::new(0);
        let made = Mutex::new(Vec::new());
        let make = || -> std::io::Result<()> {
            let mut buffers = Buffers::default();
            loop {
                let export = next.fetch_add(1, Ordering::Relaxed);
                if export >= count {
                    return Ok(());
                }
                // A copy of its own size: the buffer is larger, and used again.
                let request = Bytes::copy_from_slice(&self.make(export, &mut buffers)?);
                made.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((export, request));
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(make)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("making requests does not panic"))
        })?;
        let mut made = made.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        made.sort_unstable_by_key(|(export, _)| *export);
        self.prepared = made.into_iter().map(|(_, request)| request).collect();
        Ok(())
    }

    /// How many requests were made ahead.
    pub fn prepared(&self) -> u64 {
        self.prepared.len() as u64
    }

    /// The request of an export.
    pub fn of(&self, export: u64, buffers: &mut Buffers) -> std::io::Result<Bytes> {
        match self.prepared.get(export as usize) {
            Some(request) => Ok(request.clone()),
            None => self.make(export, buffers),
        }
    }

    pub fn take_buffers(&self) -> Buffers {
        self.buffers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub fn give_back(&self, buffers: Buffers) {
        self.buffers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(buffers);
    }

    fn make(&self, export: u64, buffers: &mut Buffers) -> std::io::Result<Bytes> {
        let Buffers { plain, compressed, request } = buffers;
        if self.framed {
            request.put_bytes(0, PREFIX);
        }
        if self.encoding == Encoding::None {
            self.generator.write(export, request);
        } else {
            plain.clear();
            self.generator.write(export, plain);
            compressed.clear();
            compress(plain, self.encoding, compressed)?;
            request.extend_from_slice(compressed);
        }
        if self.framed {
            let length = u32::try_from(request.len() - PREFIX).map_err(std::io::Error::other)?;
            request[0] = u8::from(self.encoding != Encoding::None);
            request[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        }
        // Once the request is sent and dropped, the next one takes the same memory.
        Ok(request.split().freeze())
    }
}

fn compress(plain: &[u8], encoding: Encoding, out: &mut Vec<u8>) -> std::io::Result<()> {
    match encoding {
        Encoding::None => out.write_all(plain),
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            encoder.write_all(plain)?;
            encoder.finish().map(|_| ())
        }
        Encoding::Zstd => zstd::stream::copy_encode(plain, out, 1),
    }
}
