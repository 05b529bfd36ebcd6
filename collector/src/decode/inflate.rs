//! Decompression with a budget: the first step of decoding, and the one that a hostile body attacks first.
//!
//! Output is read piecewise and stops one byte beyond the budget, so a bomb costs at most the budget. The zstd window
//! is capped too, because a frame of a few bytes can ask for gigabytes of it.
//!
//! *Invariant:* a body counts only as a whole. One that is cut, or goes on behind its end, is refused: what is left of
//! it may be a valid request, and would be acknowledged in place of the one that was sent.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use model::{Encoding, Error, Kind, Result};

/// 8 MiB, the most that RFC 9659 lets a client use for content encoding.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The decompressed body. `TooLarge` beyond `limit` bytes, `Invalid` when the bytes are not what they claim to be.
pub(super) fn inflate(body: &[u8], encoding: Encoding, limit: usize) -> Result<Cow<'_, [u8]>> {
    if body.is_empty() && encoding != Encoding::Identity {
        return Err(Error::invalid(format!("the body is not valid {}: it is empty", name(encoding))));
    }
    let bytes = match encoding {
        Encoding::Identity if body.len() > limit => return Err(too_large(limit)),
        Encoding::Identity => return Ok(Cow::Borrowed(body)),
        Encoding::Gzip => read(MultiGzDecoder::new(body), body.len(), limit, encoding)?,
        Encoding::Deflate => read(Zlib::new(body), body.len(), limit, encoding)?,
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(|error| broken(encoding, &error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|error| broken(encoding, &error))?;
            read(decoder, body.len(), limit, encoding)?
        }
    };
    Ok(Cow::Owned(bytes))
}

fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Identity => "identity",
        Encoding::Gzip => "gzip",
        Encoding::Deflate => "deflate (zlib)",
        Encoding::Zstd => "zstd",
    }
}

fn read(decoder: impl Read, compressed: usize, limit: usize, encoding: Encoding) -> Result<Vec<u8>> {
    let guess = compressed.saturating_mul(4).min(limit);
    let mut out = Vec::with_capacity(guess);
    decoder.take(limit as u64 + 1).read_to_end(&mut out).map_err(|error| broken(encoding, &error))?;
    if out.len() > limit {
        return Err(too_large(limit));
    }
    Ok(out)
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::TooLarge, format!("the body is larger than {limit} bytes after decompression"))
        .hint("send smaller batches (max_export_batch_size in an SDK, send_batch_max_size in the Collector)")
}

fn broken(encoding: Encoding, error: &io::Error) -> Error {
    Error::invalid(format!("the body is not valid {}: {error}", name(encoding)))
}

/// One zlib stream, to its very end. `flate2::read::ZlibDecoder` takes the end of the input for the end of the stream,
/// and does not look at what follows it.
struct Zlib<'a> {
    rest: &'a [u8],
    inflater: Decompress,
    ended: bool,
}

impl<'a> Zlib<'a> {
    fn new(body: &'a [u8]) -> Self {
        Zlib { rest: body, inflater: Decompress::new(true), ended: false }
    }
}

impl Read for Zlib<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self.inflater.decompress(self.rest, out, FlushDecompress::None).map_err(io::Error::other)?;
            self.rest = &self.rest[(self.inflater.total_in() - read) as usize..];
            self.ended = status == Status::StreamEnd;
            let count = (self.inflater.total_out() - written) as usize;
            if self.ended && !self.rest.is_empty() {
                return Err(io::Error::other(format!("{} bytes follow its end", self.rest.len())));
            }
            if count > 0 {
                return Ok(count);
            }
            if !self.ended && self.rest.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("to memory");
        encoder.finish().expect("to memory")
    }

    #[test]
    fn every_encoding_gives_the_bytes_back() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::encode_all(plain.as_slice(), 1).expect("to memory");
        for (encoding, body) in [
            (Encoding::Identity, plain.clone()),
            (Encoding::Gzip, gzip(&plain)),
            (Encoding::Deflate, zlib(&plain)),
            (Encoding::Zstd, zstd),
        ] {
            assert_eq!(inflate(&body, encoding, plain.len()).expect("fits"), plain, "{encoding:?}");
            let error = inflate(&body, encoding, plain.len() - 1).expect_err("one byte too many");
            assert_eq!(error.kind, Kind::TooLarge, "{encoding:?}");
            assert!(error.message.contains("399999"), "{}", error.message);
        }
    }

    #[test]
    fn concatenated_gzip_members_are_one_body() {
        let body = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(inflate(&body, Encoding::Gzip, 100).expect("valid").as_ref(), b"one two");
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_budget() {
        let zeros = vec![0u8; 64 << 20];
        for (encoding, body) in
            [(Encoding::Gzip, gzip(&zeros)), (Encoding::Zstd, zstd::encode_all(zeros.as_slice(), 1).expect("ok"))]
        {
            assert!(body.len() < 100_000, "{encoding:?} shrinks to {} bytes", body.len());
            assert_eq!(inflate(&body, encoding, 1 << 20).expect_err("64 MiB").kind, Kind::TooLarge);
        }
    }

    #[test]
    fn a_zstd_frame_that_wants_a_huge_window_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("to memory");
        encoder.window_log(27).expect("a valid window");
        encoder.write_all(&[7; 1000]).expect("to memory");
        let body = encoder.finish().expect("to memory");
        assert_eq!(inflate(&body, Encoding::Zstd, 1 << 20).expect_err("128 MiB window").kind, Kind::Invalid);
    }

    #[test]
    fn no_part_of_a_body_passes_for_the_whole() {
        let plain: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::encode_all(plain.as_slice(), 1).expect("to memory");
        for (encoding, body) in
            [(Encoding::Gzip, gzip(&plain)), (Encoding::Deflate, zlib(&plain)), (Encoding::Zstd, zstd)]
        {
            for end in 0..body.len() {
                assert!(inflate(&body[..end], encoding, plain.len()).is_err(), "{encoding:?} cut at {end}");
            }
            let longer = [body.as_slice(), b"x"].concat();
            assert_eq!(inflate(&longer, encoding, plain.len()).expect_err("longer").kind, Kind::Invalid);
        }
    }

    #[test]
    fn broken_and_cut_bodies_are_invalid() {
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            assert_eq!(inflate(b"not compressed", encoding, 100).expect_err("junk").kind, Kind::Invalid);
        }
        let whole = gzip(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(inflate(&whole[..whole.len() - 3], Encoding::Gzip, 100).expect_err("cut").kind, Kind::Invalid);
    }
}
