//! `->`, `->>` and `?` on JSON text, over datafusion-functions-json.
//!
//! That crate's `->` yields an Arrow union, which CSV, Parquet and other programs refuse; ours yields JSON text.
//! A chain (`a->'b'->>'c'`) becomes one call with a path, so the text is parsed once.

use std::sync::Arc;

use arrow::array::{AsArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Alias, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion_functions_json::udfs;

use super::checked::{JOIN_TEXTS, checked, join_texts};

pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        udfs::json_get_json_udf(),
        udfs::json_as_text_udf(),
        udfs::json_get_str_udf(),
        udfs::json_get_int_udf(),
        udfs::json_get_float_udf(),
        udfs::json_get_bool_udf(),
        udfs::json_contains_udf(),
        udfs::json_length_udf(),
        udfs::json_object_keys_udf(),
    ]
}

/// Plans the three operators.
#[derive(Debug)]
pub struct JsonPlanner;

impl ExprPlanner for JsonPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (function, sign) = match expr.op {
            BinaryOperator::Arrow => (udfs::json_get_json_udf(), "->"),
            BinaryOperator::LongArrow => (udfs::json_as_text_udf(), "->>"),
            BinaryOperator::Question => (udfs::json_contains_udf(), "?"),
            BinaryOperator::StringConcat => return joined(expr, schema),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let name = format!("{} {sign} {}", shown(&expr.left), shown(&expr.right));
        let mut args = path_of(expr.left);
        args.push(expr.right);
        let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
        Ok(PlannerResult::Planned(Expr::Alias(Alias::new(call, None::<&str>, name))))
    }
}

/// `a || b` with a bound on the result (see [`super::checked`]).
fn joined(expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let list = |e: &Expr| match call_of(e, JOIN_TEXTS) {
        Some(_) => false,
        None => e.get_type(schema).is_ok_and(|ty| matches!(ty, DataType::List(_) | DataType::FixedSizeList(..))),
    };
    let function = match (list(&expr.left), list(&expr.right)) {
        (false, false) => join_texts(),
        (true, true) => checked(datafusion::functions_nested::concat::array_concat_udf()),
        _ => {
            return plan_err!("|| joins two texts or two lists; use array_append or array_prepend for one element");
        }
    };
    let name = format!("{} || {}", shown(&expr.left), shown(&expr.right));
    // `a || b || c` is one call of three: a chain of calls takes DataFusion exponentially long to type.
    let mut args = match call_of(&expr.left, function.name()) {
        Some(call) => call.args.clone(),
        None => vec![expr.left],
    };
    args.push(expr.right);
    Ok(PlannerResult::Planned(function.call(args).alias(name)))
}

/// The call of the named function that an expression is, perhaps under an alias.
fn call_of<'a>(expr: &'a Expr, name: &str) -> Option<&'a ScalarFunction> {
    match expr {
        Expr::Alias(alias) => call_of(&alias.expr, name),
        Expr::ScalarFunction(call) if call.func.name() == name => Some(call),
        _ => None,
    }
}

/// The JSON and the path into it that `left` stands for.
fn path_of(left: Expr) -> Vec<Expr> {
    let literals = |call: &&ScalarFunction| call.args[1..].iter().all(|a| matches!(a, Expr::Literal(..)));
    match call_of(&left, "json_get_json").filter(literals) {
        Some(call) => call.args.clone(),
        None => vec![left],
    }
}

fn shown(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => alias.name.clone(),
        Expr::Literal(ScalarValue::Utf8(Some(v)) | ScalarValue::Utf8View(Some(v)), _) => format!("'{v}'"),
        Expr::Literal(value, _) => value.to_string(),
        other => other.to_string(),
    }
}

/// `json_quote(text) -> JSON string`. Used by the rewrite of promoted attributes only.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quote {
    signature: Signature,
}

impl ScalarUDFImpl for Quote {
    fn name(&self) -> &str {
        "json_quote"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = arrow::compute::cast(&args.args[0].to_array(args.number_rows)?, &DataType::Utf8View)?;
        let mut out = StringBuilder::new();
        let mut quoted = String::new();
        for value in text.as_string_view() {
            quoted.clear();
            value.inspect(|v| model::attr::write_string(&mut quoted, v));
            out.append_option(value.map(|_| quoted.as_str()));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

pub fn quote() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Quote { signature: Signature::string(1, Volatility::Immutable) }))
}
