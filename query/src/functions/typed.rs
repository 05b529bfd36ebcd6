//! Functions that are told a type by its name, behind a look at the name: `arrow_cast(x, 'List(List(…))')` is a type as deep
//! as its text is long, which whoever drops it walks down; and of `FixedSizeBinary(2000000000)` a single null takes two
//! gigabytes.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    simplify::{ExprSimplifyResult, SimplifyContext},
};

/// Types within one another.
const DEEPEST: usize = 16;
/// Bytes, or values, that a type of fixed size may have.
const LARGEST: u64 = 4_096;

/// The function itself, or the function behind a check.
pub fn checked(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match function.name() {
        "arrow_cast" | "arrow_try_cast" => Arc::new(ScalarUDF::from(Typed { inner: function })),
        _ => function,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    inner: Arc<ScalarUDF>,
}

/// Refuses names of types that are too deep or too large.
fn check(name: &str) -> Result<()> {
    let (mut open, mut deepest) = (0usize, 0);
    for byte in name.bytes() {
        match byte {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    if deepest > DEEPEST {
        return plan_err!("a type {deepest} levels deep, at most {DEEPEST} are allowed");
    }
    let numbers = name.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    match numbers.map(|digits| digits.parse().unwrap_or(u64::MAX)).find(|number| *number > LARGEST) {
        Some(number) => plan_err!("a type of size {number}, at most {LARGEST} are allowed"),
        None => Ok(()),
    }
}

fn check_scalar(value: Option<&ScalarValue>) -> Result<()> {
    value.and_then(|value| value.try_as_str().flatten()).map_or(Ok(()), check)
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(args)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_scalar(args.scalar_arguments.get(1).copied().flatten())?;
        self.inner.inner().return_field_from_args(args)
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let Some(Expr::Literal(value, _)) = args.get(1) {
            check_scalar(Some(value))?;
        }
        self.inner.inner().simplify(args, context)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(ColumnarValue::Scalar(value)) = args.args.get(1) {
            check_scalar(Some(value))?;
        }
        self.inner.inner().invoke_with_args(args)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn types_in_use_pass_and_towers_and_giants_do_not() {
        for name in ["Int64", "Decimal128(38, 10)", "Timestamp(Nanosecond, Some(\"UTC\"))", "FixedSizeBinary(16)"] {
            check(name).expect(name);
        }
        let tower = format!("{}Int8{}", "List(".repeat(17), ")".repeat(17));
        let unclosed = "List(".repeat(6_000);
        for name in [&tower, &unclosed, "FixedSizeBinary(2147483647)", "FixedSizeList(99999999999999999999, Int8)"] {
            check(name).expect_err("refused");
        }
    }
}
