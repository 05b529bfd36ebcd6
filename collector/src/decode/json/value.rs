//! One JSON scalar as one protobuf field.
//!
//! By OTLP/JSON ids are hex in either case, other bytes base64, enums integers; by proto3's JSON mapping 64-bit
//! integers are strings or numbers (and so, as the Collector takes them, are 32-bit ones), and doubles may be
//! `"NaN"`, `"Infinity"` or `"-Infinity"`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::messages::{Field, Type};
use super::scan::{Scalar, number, unescape};
use crate::decode::report::Reject;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
pub(super) const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Stands for an id that is not hex: no id is one zero byte, so it is treated like any other wrong id.
const NO_ID: &[u8] = &[0];

/// Appends `scalar`, which is not null, as `field`.
pub(super) fn write(out: &mut Vec<u8>, field: &Field, scalar: Scalar<'_>) -> Result<(), Reject> {
    let number = field.number;
    match field.ty {
        Type::Text => delimited(out, number, &text(scalar)?),
        Type::Id => delimited(out, number, id(&text(scalar)?).as_deref().unwrap_or(NO_ID)),
        Type::Bytes => delimited(out, number, &base64(&text(scalar)?)?),
        Type::Bool => match scalar {
            Scalar::Bool(value) => varint_field(out, number, u64::from(value)),
            _ => return Err(Reject::BadJson),
        },
        Type::Double => fixed64(out, number, double(scalar)?.to_bits()),
        Type::Fixed64 => fixed64(out, number, integer::<u64>(scalar)?),
        Type::Sfixed64 => fixed64(out, number, integer::<i64>(scalar)? as u64),
        Type::Int64 => varint_field(out, number, integer::<i64>(scalar)? as u64),
        Type::Uint64 => varint_field(out, number, integer::<u64>(scalar)?),
        Type::Uint32 => varint_field(out, number, u64::from(integer::<u32>(scalar)?)),
        Type::Sint32 => {
            let value = integer::<i32>(scalar)?;
            varint_field(out, number, u64::from(((value << 1) ^ (value >> 31)) as u32));
        }
        Type::Fixed32 => {
            tag(out, number, FIXED32);
            out.extend_from_slice(&integer::<u32>(scalar)?.to_le_bytes());
        }
        Type::Enum => {
            let value = integer::<i32>(scalar).map_err(|reason| match scalar {
                Scalar::String(_) => Reject::EnumName,
                _ => reason,
            })?;
            varint_field(out, number, i64::from(value) as u64);
        }
        Type::Message(_) => return Err(Reject::BadJson),
    }
    Ok(())
}

pub(super) fn tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    varint(out, u64::from(number << 3 | wire_type));
}

pub(super) fn delimited(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, DELIMITED);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, VARINT);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

type Bytes<'t> = std::borrow::Cow<'t, [u8]>;

fn text(scalar: Scalar<'_>) -> Result<Bytes<'_>, Reject> {
    let Scalar::String(raw) = scalar else { return Err(Reject::BadJson) };
    if !raw.contains(&b'\\') {
        return Ok(Bytes::Borrowed(raw));
    }
    let mut resolved = Vec::with_capacity(raw.len());
    if unescape(raw, &mut resolved) { Ok(Bytes::Owned(resolved)) } else { Err(Reject::BadJson) }
}

fn id(hex: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; hex.len() / 2];
    let whole = hex.len().is_multiple_of(2) && faster_hex::hex_decode(hex, &mut bytes).is_ok();
    whole.then_some(bytes)
}

/// Both alphabets, padded or not, as proto3's JSON mapping asks of a reader.
fn base64(text: &[u8]) -> Result<Vec<u8>, Reject> {
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    BASE64.decode(text.iter().map(standard).collect::<Vec<u8>>()).map_err(|_| Reject::BadJson)
}

/// A number as it is written, quoted or not. Rust reads more than JSON does: `+7`, `.5`, `inf`.
fn digits(scalar: Scalar<'_>) -> Result<&str, Reject> {
    match scalar {
        Scalar::Number(digits) => Ok(digits),
        Scalar::String(raw) => number(raw).ok_or(Reject::BadJson),
        _ => Err(Reject::BadJson),
    }
}

/// An integer; written as `1.5e3` too, as long as it is whole and exact.
fn integer<T: std::str::FromStr + TryFrom<i128>>(scalar: Scalar<'_>) -> Result<T, Reject> {
    let digits = digits(scalar)?;
    if let Ok(value) = digits.parse() {
        return Ok(value);
    }
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = digits.parse::<f64>().ok().filter(|value| value.trunc() == *value && value.abs() <= EXACT);
    value.and_then(|value| T::try_from(value as i128).ok()).ok_or(Reject::BadJson)
}

fn double(scalar: Scalar<'_>) -> Result<f64, Reject> {
    match scalar {
        Scalar::String(b"NaN") => Ok(f64::NAN),
        Scalar::String(b"Infinity") => Ok(f64::INFINITY),
        Scalar::String(b"-Infinity") => Ok(f64::NEG_INFINITY),
        // Too large a number becomes infinite, which nobody sent: proto3's mapping has it refused.
        _ => digits(scalar)?.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(Reject::BadJson),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strings_or_numbers_and_stay_in_range() {
        assert_eq!(integer::<u64>(Scalar::String(b"18446744073709551615")), Ok(u64::MAX));
        assert_eq!(integer::<u64>(Scalar::Number("18446744073709551615")), Ok(u64::MAX));
        assert_eq!(integer::<i64>(Scalar::Number("-9223372036854775808")), Ok(i64::MIN));
        assert_eq!(integer::<i32>(Scalar::Number("1.5e3")), Ok(1500));
        for wrong in ["-1", "4294967296", "1.5", "", "abc", "inf", "1e400", "+7", " 7", "07", "7."] {
            assert_eq!(integer::<u32>(Scalar::String(wrong.as_bytes())), Err(Reject::BadJson), "{wrong}");
        }
        assert_eq!(integer::<u32>(Scalar::Bool(true)), Err(Reject::BadJson));
    }

    #[test]
    fn doubles_know_the_three_words() {
        assert!(double(Scalar::String(b"NaN")).is_ok_and(f64::is_nan));
        assert_eq!(double(Scalar::String(b"-Infinity")), Ok(f64::NEG_INFINITY));
        assert_eq!(double(Scalar::Number("1e3")), Ok(1000.0));
        assert_eq!(double(Scalar::String(b"0.25")), Ok(0.25));
        assert_eq!(double(Scalar::String(b"inf")), Err(Reject::BadJson));
        for wrong in ["nan", "1e400", "-1e400", "+1", ".5", "1.", ""] {
            assert_eq!(double(Scalar::String(wrong.as_bytes())), Err(Reject::BadJson), "{wrong}");
        }
        assert_eq!(double(Scalar::Number("1e400")), Err(Reject::BadJson));
        assert_eq!(double(Scalar::Number("1e-400")), Ok(0.0));
    }

    #[test]
    fn base64_of_both_alphabets() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(base64(text.as_bytes()), Ok(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(base64(b"!"), Err(Reject::BadJson));
    }

    #[test]
    fn hex_in_either_case() {
        assert_eq!(id(b"0aFf"), Some(vec![0x0a, 0xff]));
        assert_eq!(id(b"0aF"), None);
        assert_eq!(id(b"zz"), None);
        assert_eq!(id(b""), Some(vec![]));
    }
}
