//! Decompression with a budget: the first step of decoding, and the one that a hostile body attacks first.
//!
//! Output is read piecewise and stops one byte beyond the budget, so a bomb costs at most the budget. The zstd window
//! is capped too, because a frame of a few bytes can ask for gigabytes of it.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use model::{Encoding, Error, Kind, Result};

/// 8 MiB, the most that RFC 9659 lets a client use for content encoding.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The decompressed body. `TooLarge` beyond `limit` bytes, `Invalid` when the bytes are not what they claim to be.
pub(super) fn inflate(body: &[u8], encoding: Encoding, limit: usize) -> Result<Cow<'_, [u8]>> {
    let bytes = match encoding {
        Encoding::Identity if body.len() > limit => return Err(too_large(limit)),
        Encoding::Identity => return Ok(Cow::Borrowed(body)),
        Encoding::Gzip => read(MultiGzDecoder::new(body), body.len(), limit, "gzip")?,
        Encoding::Deflate => read(ZlibDecoder::new(body), body.len(), limit, "deflate (zlib)")?,
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(|error| broken("zstd", &error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|error| broken("zstd", &error))?;
            read(decoder, body.len(), limit, "zstd")?
        }
    };
    Ok(Cow::Owned(bytes))
}

fn read(decoder: impl Read, compressed: usize, limit: usize, name: &str) -> Result<Vec<u8>> {
    let guess = compressed.saturating_mul(4).min(limit);
    let mut out = Vec::with_capacity(guess);
    decoder.take(limit as u64 + 1).read_to_end(&mut out).map_err(|error| broken(name, &error))?;
    if out.len() > limit {
        return Err(too_large(limit));
    }
    Ok(out)
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::TooLarge, format!("the body is larger than {limit} bytes after decompression"))
        .hint("send smaller batches (max_export_batch_size in an SDK, send_batch_max_size in the Collector)")
}

fn broken(name: &str, error: &std::io::Error) -> Error {
    Error::invalid(format!("the body is not valid {name}: {error}"))
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
    fn broken_and_cut_bodies_are_invalid() {
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            assert_eq!(inflate(b"not compressed", encoding, 100).expect_err("junk").kind, Kind::Invalid);
        }
        let whole = gzip(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(inflate(&whole[..whole.len() - 3], Encoding::Gzip, 100).expect_err("cut").kind, Kind::Invalid);
    }
}
