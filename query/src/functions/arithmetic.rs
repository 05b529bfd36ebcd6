//! `+`, `-` and `*` of whole numbers that say when a result does not fit. DataFusion's own wrap around, and so does what it
//! computes while it plans; [`crate::overflow`] puts this in their place.
//!
//! A chain of operators is one call of all that it is given: DataFusion types each call within a call several times over.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, ExprSchema, Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// What is computed of the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Given(usize),
    Negative(Box<Step>),
    Both(Box<Step>, Operator, Box<Step>),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    step: Step,
    ty: DataType,
    signature: Signature,
}

/// The same as `expr`, checked, where it computes with whole numbers in a way that can exceed them.
pub fn checked(expr: &Expr, schema: &dyn ExprSchema) -> Option<Expr> {
    let ty = computes(expr, schema)?;
    let mut given = Vec::new();
    let step = steps(expr, schema, &mut given);
    if !can_exceed(&step) {
        return None;
    }
    let signature = Signature::any(given.len(), Volatility::Immutable);
    Some(ScalarUDF::from(Arithmetic { step, ty, signature }).call(given))
}

/// The type of what `expr` computes, if it does so with whole numbers.
fn computes(expr: &Expr, schema: &dyn ExprSchema) -> Option<DataType> {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    let whole = |expr: &Expr| expr.get_type(schema).is_ok_and(|ty| ty.is_integer());
    let is_whole = match expr {
        Expr::Negative(of) => whole(of),
        Expr::BinaryExpr(BinaryExpr { left, op: Plus | Minus | Multiply | Divide | Modulo, right }) => {
            whole(left) && whole(right)
        }
        _ => false,
    };
    expr.get_type(schema).ok().filter(|ty| is_whole && ty.is_integer())
}

fn steps(expr: &Expr, schema: &dyn ExprSchema, given: &mut Vec<Expr>) -> Step {
    match expr {
        Expr::Negative(of) if computes(expr, schema).is_some() => Step::Negative(Box::new(steps(of, schema, given))),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if computes(expr, schema).is_some() => {
            let left = steps(left, schema, given);
            Step::Both(Box::new(left), *op, Box::new(steps(right, schema, given)))
        }
        _ => {
            given.push(expr.clone());
            Step::Given(given.len() - 1)
        }
    }
}

/// Division tells by itself.
fn can_exceed(step: &Step) -> bool {
    match step {
        Step::Given(_) => false,
        Step::Negative(_) => true,
        Step::Both(_, Operator::Plus | Operator::Minus | Operator::Multiply, _) => true,
        Step::Both(left, _, right) => can_exceed(left) || can_exceed(right),
    }
}

impl Arithmetic {
    fn value(&self, step: &Step, given: &[ColumnarValue]) -> Result<ColumnarValue> {
        match step {
            Step::Given(at) => match given.get(*at) {
                Some(value) => Ok(value.clone()),
                None => internal_err!("argument {at} of {} is missing", self.name()),
            },
            Step::Negative(of) => {
                let zero = ColumnarValue::Scalar(ScalarValue::new_zero(&self.ty)?);
                self.apply(&zero, Operator::Minus, &self.value(of, given)?)
            }
            Step::Both(left, op, right) => self.apply(&self.value(left, given)?, *op, &self.value(right, given)?),
        }
    }

    fn apply(&self, left: &ColumnarValue, op: Operator, right: &ColumnarValue) -> Result<ColumnarValue> {
        let compute = match op {
            Operator::Plus => numeric::add,
            Operator::Minus => numeric::sub,
            Operator::Multiply => numeric::mul,
            Operator::Divide => numeric::div,
            Operator::Modulo => numeric::rem,
            other => return internal_err!("{other} is no arithmetic"),
        };
        apply(left, right, compute).map_err(|error| self.in_words_of_sql(error))
    }

    fn in_words_of_sql(&self, error: DataFusionError) -> DataFusionError {
        match &error {
            DataFusionError::ArrowError(inner, _) if matches!(inner.as_ref(), ArrowError::ArithmeticOverflow(_)) => {
                exec_datafusion_err!("{} out of range", sql_name(&self.ty))
            }
            _ => error,
        }
    }
}

/// As PostgreSQL calls the types that it has.
fn sql_name(ty: &DataType) -> String {
    match ty {
        DataType::Int64 => "bigint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        other => other.to_string(),
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        "arithmetic"
    }

    /// As the operators would be called: columns keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        fn name(step: &Step, args: &[Expr]) -> String {
            match step {
                Step::Given(at) => args.get(*at).map(|arg| arg.schema_name().to_string()).unwrap_or_default(),
                Step::Negative(of) => format!("(- {})", name(of, args)),
                Step::Both(left, op, right) => format!("{} {op} {}", name(left, args), name(right, args)),
            }
        }
        Ok(name(&self.step, args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(self.ty.clone())
    }

    /// Null where any of them is.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.ty.clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.value(&self.step, &args.args)
    }
}

/// Whole numbers as decimals that have room for the sum of any number of rows. A cast does the same, but looks at each
/// number whether it fits, which takes ten times as long as adding it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Widened(Signature);

/// 20 digits hold every number of 64 bits, and the sum has ten more.
const WIDE: DataType = DataType::Decimal128(20, 0);

/// `expr`, which is a whole number, in a type of which `sum` needs not wrap around.
pub fn widened(expr: Expr) -> Expr {
    ScalarUDF::from(Widened(Signature::any(1, Volatility::Immutable))).call(vec![expr])
}

impl ScalarUDFImpl for Widened {
    fn name(&self) -> &str {
        "widened"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(WIDE)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let numbers = ColumnarValue::values_to_arrays(&args.args)?;
        let [numbers] = numbers.as_slice() else { return internal_err!("{} takes one argument", self.name()) };
        let wide: Decimal128Array = match numbers.data_type() {
            DataType::UInt64 => numbers.as_primitive::<UInt64Type>().unary(i128::from),
            DataType::Int64 => numbers.as_primitive::<Int64Type>().unary(i128::from),
            _ => cast(numbers, &DataType::Int64)?.as_primitive::<Int64Type>().unary(i128::from),
        };
        Ok(ColumnarValue::Array(Arc::new(wide.with_data_type(WIDE))))
    }
}
