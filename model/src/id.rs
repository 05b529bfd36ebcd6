//! Trace and span ids: 16 and 8 bytes, shown as lower-case hex, never all zero (OTLP `trace.proto`).

use std::fmt;
use std::str::FromStr;

use crate::Error;

macro_rules! id {
    ($name:ident, $len:literal, $what:literal) => {
        #[doc = concat!("A ", $what, " id of ", stringify!($len), " bytes.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// `None` when the length is wrong or every byte is zero, which OTLP calls an invalid id.
            pub fn from_wire(bytes: &[u8]) -> Option<Self> {
                let id: [u8; $len] = bytes.try_into().ok()?;
                (id != [0; $len]).then_some($name(id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&faster_hex::hex_string(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                let mut id = [0u8; $len];
                if text.len() != 2 * $len || faster_hex::hex_decode(text.as_bytes(), &mut id).is_err() {
                    return Err(Error::invalid(format!("{:?} is not a {} id", text, $what)).hint(concat!(
                        "a ",
                        $what,
                        " id is ",
                        stringify!($len),
                        " bytes in hex"
                    )));
                }
                Ok($name(id))
            }
        }
    };
}

id!(TraceId, 16, "trace");
id!(SpanId, 8, "span");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_in_either_case_is_read_and_lower_case_is_shown() {
        let id: TraceId = "4BF92F3577B34DA6A3CE929D0E0E4736".parse().expect("valid");
        assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn wrong_length_zero_and_non_hex_are_refused() {
        assert!("4bf9".parse::<TraceId>().is_err());
        assert!("zz067aa0ba902b7a".parse::<SpanId>().is_err());
        assert_eq!(SpanId::from_wire(&[0; 8]), None);
        assert_eq!(SpanId::from_wire(&[1; 5]), None);
        assert_eq!(SpanId::from_wire(&[1; 8]), Some(SpanId([1; 8])));
    }
}
