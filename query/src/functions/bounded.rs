//! `repeat`, `lpad` and `rpad` with a limit: DataFusion's own make a result of any length outside the memory pool.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// Longest text one row may grow to, bytes.
const ROW: usize = 1 << 20;
/// Most bytes one batch may grow to.
const BATCH: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum How {
    Repeat,
    Left,
    Right,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Grow {
    how: How,
    signature: Signature,
}

impl Grow {
    fn new(how: How) -> Self {
        let two = TypeSignature::Exact(vec![DataType::Utf8View, DataType::Int64]);
        let three = TypeSignature::Exact(vec![DataType::Utf8View, DataType::Int64, DataType::Utf8View]);
        let signature = match how {
            How::Repeat => Signature::new(two, Volatility::Immutable),
            How::Left | How::Right => Signature::one_of(vec![two, three], Volatility::Immutable),
        };
        Grow { how, signature }
    }

    fn one(&self, text: &str, size: i64, fill: &str) -> Option<String> {
        let size = usize::try_from(size).unwrap_or(0);
        match self.how {
            How::Repeat => (text.len().checked_mul(size)? <= ROW).then(|| text.repeat(size)),
            How::Left | How::Right => {
                if size > ROW {
                    return None;
                }
                let have = text.chars().count();
                if have >= size || fill.is_empty() {
                    return Some(text.chars().take(size).collect());
                }
                let pad: String = fill.chars().cycle().take(size - have).collect();
                Some(if self.how == How::Left { pad + text } else { text.to_owned() + &pad })
            }
        }
    }
}

impl ScalarUDFImpl for Grow {
    fn name(&self) -> &str {
        match self.how {
            How::Repeat => "repeat",
            How::Left => "lpad",
            How::Right => "rpad",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let (text, size) = (arrays[0].as_string_view(), arrays[1].as_primitive::<Int64Type>());
        let fill = arrays.get(2).map(|a| a.as_string_view());
        let mut out = StringViewBuilder::with_capacity(text.len());
        let mut total = 0;
        for row in 0..text.len() {
            let fill_null = fill.is_some_and(|f| f.is_null(row));
            if text.is_null(row) || size.is_null(row) || fill_null {
                out.append_null();
                continue;
            }
            let fill = fill.map_or(" ", |f| f.value(row));
            let Some(value) = self.one(text.value(row), size.value(row), fill) else {
                return exec_err!("{} would make a text longer than {ROW} bytes", self.name());
            };
            total += value.len();
            if total > BATCH {
                return exec_err!("{} would make more than {BATCH} bytes in one batch", self.name());
            }
            out.append_value(value);
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [How::Repeat, How::Left, How::Right].map(|how| Arc::new(ScalarUDF::from(Grow::new(how)))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_grows_up_to_the_limit_and_no_further() {
        assert_eq!(Grow::new(How::Repeat).one("ab", 3, ""), Some("ababab".into()));
        assert_eq!(Grow::new(How::Repeat).one("ab", -1, ""), Some(String::new()));
        assert_eq!(Grow::new(How::Repeat).one("ab", i64::MAX, ""), None);
        assert_eq!(Grow::new(How::Left).one("7", 3, "0"), Some("007".into()));
        assert_eq!(Grow::new(How::Right).one("abc", 2, "0"), Some("ab".into()));
        assert_eq!(Grow::new(How::Left).one("é", 3, "xy"), Some("xyé".into()));
    }
}
