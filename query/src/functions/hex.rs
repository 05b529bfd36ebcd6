//! Ids as text: `hex` shows bytes as lower-case hex, `from_hex` reads it back.
//!
//! The views show every id through [`HexId`]; `tables::rewrite` turns comparisons of its result back into
//! comparisons of the stored bytes, so that bloom filters and statistics apply.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, FixedSizeBinaryArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// `hex(bytes) -> text`, and `hex_or_empty`, which shows null as empty text (the parent of a root).
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct HexId {
    /// Null is shown as empty text.
    pub empty: bool,
    signature: Signature,
}

impl HexId {
    fn udf(empty: bool) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(HexId { empty, signature: Signature::any(1, Volatility::Immutable) }))
    }
}

impl ScalarUDFImpl for HexId {
    fn name(&self) -> &str {
        if self.empty { "hex_or_empty" } else { "hex" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match &args[0] {
            DataType::FixedSizeBinary(_)
            | DataType::Binary
            | DataType::BinaryView
            | DataType::LargeBinary
            | DataType::Null => Ok(DataType::Utf8View),
            other => datafusion::common::plan_err!("hex takes bytes, not {other}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let rows = if scalar { 1 } else { args.number_rows };
        let array = args.args[0].to_array(rows)?;
        let text = hex_array(&array)?;
        let text: ArrayRef = Arc::new(if self.empty {
            text.iter().map(|id| Some(id.unwrap_or_default())).collect::<StringViewArray>()
        } else {
            text
        });
        finish(text, scalar)
    }
}

fn finish(array: ArrayRef, scalar: bool) -> Result<ColumnarValue> {
    if scalar {
        return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&array, 0)?));
    }
    Ok(ColumnarValue::Array(array))
}

/// Any binary array as hex text.
pub fn hex_array(array: &ArrayRef) -> Result<StringViewArray> {
    fn all<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, rows: usize) -> StringViewArray {
        let mut out = StringViewBuilder::with_capacity(rows);
        for value in values {
            out.append_option(value.map(faster_hex::hex_string));
        }
        out.finish()
    }
    let rows = array.len();
    Ok(match array.data_type() {
        DataType::FixedSizeBinary(_) => fixed(array.as_fixed_size_binary()),
        DataType::Binary => all(array.as_binary::<i32>().iter(), rows),
        DataType::LargeBinary => all(array.as_binary::<i64>().iter(), rows),
        DataType::BinaryView => all(array.as_binary_view().iter(), rows),
        DataType::Null => StringViewArray::new_null(rows),
        other => return exec_err!("hex takes bytes, not {other}"),
    })
}

/// Ids as hex text; the hot path, one stack buffer and no allocation a row.
pub fn fixed(ids: &FixedSizeBinaryArray) -> StringViewArray {
    let mut out = StringViewBuilder::with_capacity(ids.len());
    let mut buffer = [0u8; 64];
    for id in ids.iter() {
        match id {
            None => out.append_null(),
            Some(id) if id.len() <= 32 => {
                let text = faster_hex::hex_encode(id, &mut buffer).map(|t| &*t);
                out.append_option(text.ok());
            }
            Some(id) => out.append_value(faster_hex::hex_string(id)),
        }
    }
    out.finish()
}

/// `from_hex(text) -> bytes`; null for what is not hex.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FromHex {
    signature: Signature,
}

impl Default for FromHex {
    fn default() -> Self {
        FromHex { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromHex {
    fn name(&self) -> &str {
        "from_hex"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let rows = if scalar { 1 } else { args.number_rows };
        let text = arrow::compute::cast(&args.args[0].to_array(rows)?, &DataType::Utf8View)?;
        let mut out = BinaryBuilder::new();
        for value in text.as_string_view() {
            out.append_option(value.and_then(decode));
        }
        finish(Arc::new(out.finish()), scalar)
    }
}

/// The bytes that `text` writes in hex, in either case.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = vec![0u8; text.len() / 2];
    faster_hex::hex_decode(text.as_bytes(), &mut out).ok()?;
    text.len().is_multiple_of(2).then_some(out)
}

pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![hex_udf(), Arc::new(ScalarUDF::from(FromHex::default()))]
}

pub fn hex_udf() -> Arc<ScalarUDF> {
    HexId::udf(false)
}

/// [`hex_udf`] that shows null as empty text; used by the views.
pub fn hex_or_empty() -> Arc<ScalarUDF> {
    HexId::udf(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_ids_is_lower_case_and_keeps_nulls() {
        let ids = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([0xABu8, 0x01]), None].into_iter(), 2)
            .expect("fits");
        let text = fixed(&ids);
        assert_eq!(text.iter().collect::<Vec<_>>(), [Some("ab01"), None]);
    }

    #[test]
    fn what_is_not_hex_is_nothing() {
        assert_eq!(decode("00fF"), Some(vec![0, 255]));
        for bad in ["0", "zz", "00f"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
