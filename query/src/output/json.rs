//! Arrow values as JSON text, written straight into one buffer.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat};
use model::attr::write_string;

use super::CUT_HINT;
use crate::session::QueryResult;
use crate::tables::describe::type_name;

/// `{"columns":[…],"rows":[[…]],"truncated":…,"cut":…,"elapsed_ms":…,"rows_total":…,"rows_scanned":…}`.
pub fn answer(result: &QueryResult) -> Vec<u8> {
    let mut out = String::from("{\"columns\":[");
    for (at, field) in result.schema.fields().iter().enumerate() {
        out.push_str(if at == 0 { "{\"name\":" } else { ",{\"name\":" });
        write_string(&mut out, field.name());
        out.push_str(",\"type\":");
        write_string(&mut out, &type_name(field.data_type()));
        out.push('}');
    }
    out.push_str("],\"rows\":[");
    let mut first = true;
    for batch in &result.batches {
        for row in 0..batch.num_rows() {
            out.push_str(if first { "[" } else { ",[" });
            first = false;
            for (at, column) in batch.columns().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                value(&mut out, column.as_ref(), row);
            }
            out.push(']');
        }
    }
    let cut = result.cut.map_or(
        serde_json::Value::Null,
        |cut| serde_json::json!({"setting": cut.setting(), "most": cut.most(), "hint": CUT_HINT}),
    );
    let _ = write!(
        out,
        "],\"truncated\":{},\"cut\":{cut},\"elapsed_ms\":{:.3},\"rows_total\":{},\"rows_scanned\":{}}}",
        result.cut.is_some(),
        result.elapsed.as_secs_f64() * 1e3,
        // Of an answer that is cut nobody has counted the rest.
        if result.cut.is_some() { "null".to_owned() } else { result.rows().to_string() },
        result.rows_scanned
    );
    out.into_bytes()
}

/// Appends one value.
pub fn value(out: &mut String, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        out.push_str("null");
        return;
    }
    macro_rules! number {
        ($ty:ty) => {{
            let _ = write!(out, "{}", array.as_primitive::<$ty>().value(row));
        }};
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => float(out, f64::from(f32::from(array.as_primitive::<Float16Type>().value(row)))),
        DataType::Float32 => float(out, f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => write_string(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => write_string(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => write_string(out, array.as_string_view().value(row)),
        DataType::Binary => hex(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hex(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hex(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => hex(out, array.as_fixed_size_binary().value(row)),
        DataType::Timestamp(unit, _) => timestamp(out, array, row, *unit),
        DataType::Date32 => date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::List(_) => list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(out, &array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            object(out, fields.iter().map(|f| f.name().as_str()).zip(columns.iter().map(|c| (c.as_ref(), row))));
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).clone(), entries.column(1).clone());
            let keys = texts(&keys);
            object(out, (0..keys.len()).map(|at| (keys.value(at), (values.as_ref(), at))));
        }
        _ => shown(out, array, row),
    }
}

fn float(out: &mut String, value: f64) {
    if value.is_finite() {
        // Debug writes the shortest text that reads back the same, always with a point or an exponent.
        let _ = write!(out, "{value:?}");
    } else {
        out.push_str(if value.is_nan() {
            "\"NaN\""
        } else if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    }
}

fn hex(out: &mut String, bytes: &[u8]) {
    out.push('"');
    out.push_str(&faster_hex::hex_string(bytes));
    out.push('"');
}

/// A day, counted from 1970-01-01. SQL can name days of years that chrono does not have.
fn date(out: &mut String, day: i64) {
    let (year, month, day) = gregorian(day);
    let _ = match year {
        0..=9_999 => write!(out, "\"{year:04}-{month:02}-{day:02}\""),
        // As ISO 8601 has them, with a sign.
        _ => write!(out, "\"{year:+05}-{month:02}-{day:02}\""),
    };
}

/// Year, month and day, by counting years from March and in eras of 400 years.
fn gregorian(day: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let since_march_0 = day + 719_468;
    let (era, of_era) = (since_march_0.div_euclid(ERA), since_march_0.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let since_march = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * since_march + 2) / 5 + 1, (since_march + 2) % 12 + 1);
    (year_of_era + 400 * era + i64::from(month <= 2), month, day)
}

fn timestamp(out: &mut String, array: &dyn Array, row: usize, unit: TimeUnit) {
    let at = match unit {
        TimeUnit::Second => DateTime::from_timestamp(array.as_primitive::<TimestampSecondType>().value(row), 0),
        TimeUnit::Millisecond => {
            DateTime::from_timestamp_millis(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        TimeUnit::Microsecond => {
            DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        TimeUnit::Nanosecond => {
            Some(DateTime::from_timestamp_nanos(array.as_primitive::<TimestampNanosecondType>().value(row)))
        }
    };
    match at {
        Some(at) => {
            let _ = write!(out, "\"{}\"", at.to_rfc3339_opts(SecondsFormat::Nanos, true));
        }
        None => shown(out, array, row),
    }
}

fn list(out: &mut String, items: &ArrayRef) {
    out.push('[');
    for at in 0..items.len() {
        if at > 0 {
            out.push(',');
        }
        value(out, items.as_ref(), at);
    }
    out.push(']');
}

fn object<'a>(out: &mut String, members: impl Iterator<Item = (&'a str, (&'a dyn Array, usize))>) {
    out.push('{');
    for (at, (name, (array, row))) in members.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        value(out, array, row);
    }
    out.push('}');
}

/// Rarer types (intervals, times of day, decimals) as the text Arrow shows.
fn shown(out: &mut String, array: &dyn Array, row: usize) {
    let text = match ArrayFormatter::try_new(array, &FormatOptions::default()) {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(_) => String::new(),
    };
    write_string(out, &text);
}

/// A column as text: strings as they are, all else as its JSON without the quotes around it.
pub fn texts(array: &ArrayRef) -> StringArray {
    let mut out = StringBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        text.clear();
        match array.data_type() {
            DataType::Utf8 => text.push_str(array.as_string::<i32>().value(row)),
            DataType::Utf8View => text.push_str(array.as_string_view().value(row)),
            DataType::LargeUtf8 => text.push_str(array.as_string::<i64>().value(row)),
            _ => value(&mut text, array.as_ref(), row),
        }
        let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).filter(|_| !array.data_type().is_string());
        out.append_value(bare.unwrap_or(&text));
    }
    out.finish()
}
