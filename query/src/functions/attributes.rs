//! `attributes` whole again: promoted attributes are moved to columns of their own when stored; the view puts them
//! back into the JSON text.
//!
//! *Invariant:* a key stands either in the JSON text or in its column, never in both, so nothing is shown twice.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use model::attr;
use model::schema::{PROMOTED_SPAN, PromotedType};

/// `whole_attributes(attributes, <every promoted column in order>) -> JSON text`. Used by the view only.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WholeAttributes {
    signature: Signature,
}

impl ScalarUDFImpl for WholeAttributes {
    fn name(&self) -> &str {
        "whole_attributes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let Some((rest, promoted)) = arrays.split_first().filter(|(_, p)| p.len() == PROMOTED_SPAN.len()) else {
            return exec_err!("whole_attributes takes {} columns", PROMOTED_SPAN.len() + 1);
        };
        // A column that is null throughout the batch costs nothing further.
        let present: Vec<_> =
            PROMOTED_SPAN.iter().zip(promoted).filter(|(_, array)| array.null_count() < array.len()).collect();
        let rest = rest.as_string_view();
        let mut out = StringViewBuilder::with_capacity(args.number_rows);
        let mut text = String::new();
        for row in 0..args.number_rows {
            text.clear();
            for (attribute, column) in &present {
                if column.is_null(row) {
                    continue;
                }
                text.push(if text.is_empty() { '{' } else { ',' });
                attr::write_string(&mut text, attribute.key);
                text.push(':');
                match attribute.ty {
                    PromotedType::Text => attr::write_string(&mut text, column.as_string_view().value(row)),
                    PromotedType::Int => attr::write_int(&mut text, column.as_primitive::<Int64Type>().value(row)),
                }
            }
            let others = if rest.is_null(row) { "{}" } else { rest.value(row) };
            out.append_value(join(&mut text, others));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// `text` is empty or an unclosed object (`{"a":1`); `others` is a JSON object.
fn join<'a>(text: &'a mut String, others: &'a str) -> &'a str {
    if text.is_empty() {
        return others;
    }
    match others.trim().strip_prefix('{').map(str::trim_start) {
        Some(inner) if inner != "}" && !inner.is_empty() => {
            text.push(',');
            text.push_str(inner);
        }
        _ => text.push('}'),
    }
    text
}

pub fn whole_attributes() -> ScalarUDF {
    ScalarUDF::from(WholeAttributes { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_objects_hold_the_keys_of_both() {
        for (promoted, others, whole) in [
            ("", "{}", "{}"),
            ("", r#"{"b":2}"#, r#"{"b":2}"#),
            (r#"{"a":1"#, "{}", r#"{"a":1}"#),
            (r#"{"a":1"#, r#"{"b":{}}"#, r#"{"a":1,"b":{}}"#),
            (r#"{"a":1"#, "", r#"{"a":1}"#),
        ] {
            assert_eq!(join(&mut promoted.to_owned(), others), whole);
        }
    }
}
