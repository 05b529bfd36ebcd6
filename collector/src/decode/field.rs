//! Single fields made fit for a column: text, optional ids, numbers beyond int64, enums.

use std::borrow::Cow;

use super::report::Anomalies;

/// Text from the wire; broken bytes become U+FFFD and an anomaly.
#[inline]
pub(super) fn lossy<'a>(bytes: &'a [u8], anomalies: &mut Anomalies) -> Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            anomalies.add(Anomalies::INVALID_UTF8);
            String::from_utf8_lossy(bytes)
        }
    }
}

/// An id that may be absent. Absent is empty or all zero; any other length than `N` is an anomaly, and absent too.
pub(super) fn optional_id<'a, const N: usize>(
    bytes: &'a [u8],
    wrong: Anomalies,
    anomalies: &mut Anomalies,
) -> Option<&'a [u8; N]> {
    match <&[u8; N]>::try_from(bytes) {
        Ok(id) => Some(id).filter(|id| **id != [0; N]),
        Err(_) => {
            if !bytes.is_empty() {
                anomalies.add(wrong);
            }
            None
        }
    }
}

/// A count or a time that does not decide whether the row is kept.
pub(super) fn saturate(value: u64, anomalies: &mut Anomalies) -> i64 {
    i64::try_from(value).unwrap_or_else(|_| {
        anomalies.add(Anomalies::SATURATED);
        i64::MAX
    })
}

/// A name for an enum's number; numbers that OTLP does not define get the first name and an anomaly.
pub(super) fn enum_name(names: &[&'static str], number: i32, anomalies: &mut Anomalies) -> &'static str {
    let known = usize::try_from(number).ok().and_then(|number| names.get(number));
    if known.is_none() {
        anomalies.add(Anomalies::UNKNOWN_ENUM);
    }
    known.or(names.first()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_id_is_no_anomaly_but_a_short_one_is() {
        let mut anomalies = Anomalies::NONE;
        let id = |bytes, anomalies: &mut Anomalies| optional_id::<8>(bytes, Anomalies::BAD_SPAN_ID, anomalies).copied();
        assert_eq!(id(&[], &mut anomalies), None);
        assert_eq!(id(&[0; 8], &mut anomalies), None);
        assert_eq!(id(&[1; 8], &mut anomalies), Some([1; 8]));
        assert_eq!(anomalies, Anomalies::NONE);
        assert_eq!(id(&[1; 5], &mut anomalies), None);
        assert_eq!(anomalies, Anomalies::BAD_SPAN_ID);
    }

    #[test]
    fn unknown_enum_numbers_get_the_first_name() {
        let mut anomalies = Anomalies::NONE;
        assert_eq!(enum_name(&["UNSET", "OK"], 1, &mut anomalies), "OK");
        assert!(anomalies.is_empty());
        assert_eq!(enum_name(&["UNSET", "OK"], -1, &mut anomalies), "UNSET");
        assert_eq!(anomalies, Anomalies::UNKNOWN_ENUM);
    }
}
