//! What a WAL record means: an export as it was received, or the hashes of exports seen before.
//!
//! ```text
//!  0      1         2        3          4                12         28            30
//!  ┌──────┬─────────┬────────┬──────────┬────────────────┬──────────┬─────────────┬────────┬──────┐
//!  │ kind │ version │ signal │ format|  │ received, i64  │ hash,    │ tenant      │ tenant │ body │
//!  │  = 1 │   = 1   │        │ encoding │ ns, LE         │ u128 LE  │ length, u16 │        │      │
//!  └──────┴─────────┴────────┴──────────┴────────────────┴──────────┴─────────────┴────────┴──────┘
//!  kind 2: [2, 1] and then 24 bytes for each remembered export: received (i64), key (u128), little-endian
//! ```
//! The version belongs to everything that shapes rows: a change of the decoder that changes rows for the same bytes
//! needs a new one, so that a replay after an upgrade yields the rows that were acknowledged.

use bytes::Bytes;
use model::{Encoding, Error, Format, Nanos, Payload, Result, Signal, Tenant};

const EXPORT: u8 = 1;
const SEEN: u8 = 2;
const VERSION: u8 = 1;
const HEADER: usize = 30;

/// An export that was answered, as remembered to recognise a re-send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub received: Nanos,
    pub key: u128,
}

#[derive(Debug, Clone)]
pub enum Record {
    Export { payload: Payload, hash: u128 },
    Seen(Vec<Seen>),
}

/// The header of an export's record; the body follows it as received.
pub fn export_header(payload: &Payload, hash: u128) -> Vec<u8> {
    let tenant = payload.tenant.as_str().as_bytes();
    let signal = match payload.signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
    };
    let format = match payload.format {
        Format::Protobuf => 0x10,
        Format::Json => 0x20,
    };
    let encoding = match payload.encoding {
        Encoding::Identity => 0,
        Encoding::Gzip => 1,
        Encoding::Zstd => 2,
        Encoding::Deflate => 3,
    };
    let mut out = Vec::with_capacity(HEADER + tenant.len());
    out.extend([EXPORT, VERSION, signal, format | encoding]);
    out.extend(payload.received.to_le_bytes());
    out.extend(hash.to_le_bytes());
    out.extend((tenant.len() as u16).to_le_bytes());
    out.extend(tenant);
    out
}

/// A record of remembered exports.
pub fn seen(entries: &[Seen]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 24 * entries.len());
    out.extend([SEEN, VERSION]);
    for entry in entries {
        out.extend(entry.received.to_le_bytes());
        out.extend(entry.key.to_le_bytes());
    }
    out
}

/// Reads a record; its checksum has been verified by the log, so a failure means another version or a bug.
pub fn decode(bytes: &[u8]) -> Result<Record> {
    match bytes {
        [_, version, ..] if *version > VERSION => {
            Err(Error::corrupt(format!("the WAL holds records of version {version}, this hotspan knows {VERSION}"))
                .hint(
                    "start the newer hotspan that wrote them, stop it cleanly (that empties the WAL), then downgrade",
                ))
        }
        [EXPORT, _, rest @ ..] => {
            export(rest).ok_or_else(|| Error::corrupt("a WAL record's header is not of our making"))
        }
        [SEEN, _, rest @ ..] => {
            let entry = |e: &[u8]| Some(Seen { received: i64_at(e, 0)?, key: u128_at(e, 8)? });
            Ok(Record::Seen(rest.chunks_exact(24).filter_map(entry).collect()))
        }
        _ => Err(Error::corrupt("a WAL record of an unknown kind")),
    }
}

fn export(rest: &[u8]) -> Option<Record> {
    let signal = match rest.first()? {
        1 => Signal::Traces,
        2 => Signal::Metrics,
        3 => Signal::Logs,
        _ => return None,
    };
    let shape = rest.get(1)?;
    let format = match shape & 0xf0 {
        0x10 => Format::Protobuf,
        0x20 => Format::Json,
        _ => return None,
    };
    let encoding = match shape & 0x0f {
        0 => Encoding::Identity,
        1 => Encoding::Gzip,
        2 => Encoding::Zstd,
        3 => Encoding::Deflate,
        _ => return None,
    };
    let received = i64_at(rest, 2)?;
    let hash = u128_at(rest, 10)?;
    let length = usize::from(u16::from_le_bytes(rest.get(26..28)?.try_into().ok()?));
    let tenant = std::str::from_utf8(rest.get(28..28 + length)?).ok()?;
    let body = Bytes::copy_from_slice(rest.get(28 + length..)?);
    let tenant = Tenant::new(tenant).ok()?;
    Some(Record::Export { payload: Payload { tenant, signal, format, encoding, received, body }, hash })
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(bytes.get(at..at + 16)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Payload {
        Payload {
            tenant: Tenant::new("shop").expect("valid"),
            signal: Signal::Logs,
            format: Format::Json,
            encoding: Encoding::Zstd,
            received: 0x0102_0304_0506_0708,
            body: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn the_bytes_are_as_drawn() {
        let mut bytes = export_header(&payload(), 0x0f);
        bytes.extend(b"body");
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "01010322080706050403020\
                         10f000000000000000000000000000000040073686f70626f6479"
        );
    }

    #[test]
    fn an_export_comes_back_as_written() {
        let mut bytes = export_header(&payload(), 77);
        bytes.extend(b"body");
        let Record::Export { payload: back, hash } = decode(&bytes).expect("decodes") else { panic!("an export") };
        assert_eq!((back.tenant.as_str(), back.signal, back.format), ("shop", Signal::Logs, Format::Json));
        assert_eq!((back.encoding, back.received, hash), (Encoding::Zstd, 0x0102_0304_0506_0708, 77));
        assert_eq!(back.body.as_ref(), b"body");
    }

    #[test]
    fn seen_entries_come_back_and_newer_versions_are_named() {
        let entries = vec![Seen { received: 5, key: 6 }, Seen { received: -1, key: u128::MAX }];
        let Record::Seen(back) = decode(&seen(&entries)).expect("decodes") else { panic!("seen") };
        assert_eq!(back, entries);
        assert_eq!(decode(&[1, 9, 0]).expect_err("newer").kind, model::Kind::Corrupt);
        for cut in 0..30 {
            assert!(decode(&export_header(&payload(), 1)[..cut]).is_err(), "cut at {cut}");
        }
    }
}
