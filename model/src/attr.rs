//! Attributes as JSON text with their OTLP types kept, readable by every engine.
//!
//! | OTLP value | text |
//! |---|---|
//! | string | JSON string |
//! | bool | `true`, `false` |
//! | int | number without point or exponent: `200` |
//! | double | number with point or exponent: `200.0`, `1e300`; `{"@double":"NaN"}`, `"Infinity"`, `"-Infinity"` |
//! | bytes | `{"@bytes":"<base64>"}` |
//! | array, kvlist | JSON array, JSON object |
//! | empty | `null` |
//!
//! A kvlist whose only key is `@bytes` or `@double` (or that with more `@` before it) gets one more `@` before the
//! key, so that reading back is exact. Keys stay in the order sent; of a repeated key the last one wins.
//! docs/format/attributes.md is the outsiders' version.

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &str = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => {
                out.push_str(&text[plain..at]);
                out.push_str(&format!("\\u{byte:04x}"));
                plain = at + 1;
                continue;
            }
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        out.push_str(escape);
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends an OTLP int.
pub fn write_int(out: &mut String, value: i64) {
    use std::fmt::Write;
    let _ = write!(out, "{value}");
}

/// Appends an OTLP double so that it reads back as a double, bit for bit but for NaN's payload.
pub fn write_double(out: &mut String, value: f64) {
    use std::fmt::Write;
    if value.is_nan() {
        out.push_str(r#"{"@double":"NaN"}"#);
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { r#"{"@double":"Infinity"}"# } else { r#"{"@double":"-Infinity"}"# });
    } else {
        // Debug formatting always writes a point or an exponent, and is the shortest that reads back the same.
        let _ = write!(out, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_the_same() {
        for text in ["", "plain", "quote \" back \\ slash", "line\nfeed\ttab\u{0}\u{1f}", "中文 🦀"] {
            let mut out = String::new();
            write_string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).expect("valid JSON"), text);
        }
    }

    #[test]
    fn doubles_never_look_like_ints() {
        for value in [0.0, -0.0, 1.0, 200.0, 1e300, 5e-324, 0.1, -1.5e15, 1e16] {
            let mut out = String::new();
            write_double(&mut out, value);
            assert!(out.contains(['.', 'e']), "{out}");
            assert_eq!(out.parse::<f64>().expect("a number").to_bits(), value.to_bits());
        }
    }
}
