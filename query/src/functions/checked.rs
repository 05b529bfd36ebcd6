//! Built-in functions whose result can be larger than what they are given, behind a check of its size: texts and
//! lists double at each call (`concat(s, s)`), or multiply (`replace`), and DataFusion's memory pool sees none of it.
//! And those that compare every part of one text with every part of another: a call cannot be interrupted, so it would
//! hold its thread, and the statements of everybody else, long after its own time is over.
//!
//! *Invariants:* no call makes more than [`BATCH`] bytes, so a statement, whose calls are counted, makes a bounded
//! number of such pieces. No call compares for more than a second or so.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::typed;

/// Most bytes that one call may be given, or make of them.
const BATCH: usize = 128 << 20;
/// Most bytes that one row may grow to.
const ROW: usize = 4 << 20;
/// Most bytes that a constant may grow to: the planner copies and prints constants again and again.
const CONSTANT: usize = 64 << 10;
/// Bytes of a value in a list of texts.
const PART: usize = 16;
/// Most bytes of a text that says how something is written.
const FORMAT: usize = 256;
/// Most pairs of letters that one call of `levenshtein` may look at: 0.9 ns each.
const EDITS: usize = 1 << 30;
/// The same for `strpos`, which gives up at the first difference or compares 32 letters at once.
const SEARCHES: usize = 1 << 35;

/// How the result grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// With the sum of the arguments.
    Sum,
    /// With the product of the first argument's length and that of the argument at this position.
    Product(usize),
    /// With the number of parts that the delimiter makes of the text, each of which takes [`PART`] bytes.
    Parts,
    /// As the sum of the arguments, of which the one at this position is short: it says how a row is written.
    Format(usize),
    /// Not at all, but the argument at this position names a type, which is made before anybody looks.
    Type(usize),
    /// Not at all, but its time does: by the product of both texts' lengths, of which there may be so much in all.
    Time(usize),
}

const GROWING: &[(&str, Growth)] = &[
    ("concat", Growth::Sum),
    ("concat_ws", Growth::Sum),
    ("overlay", Growth::Sum),
    ("encode", Growth::Sum),
    ("string_to_array", Growth::Parts),
    ("to_char", Growth::Format(1)),
    ("array_append", Growth::Sum),
    ("array_concat", Growth::Sum),
    ("array_prepend", Growth::Sum),
    ("array_union", Growth::Sum),
    ("make_array", Growth::Sum),
    ("named_struct", Growth::Sum),
    ("struct", Growth::Sum),
    ("array_to_string", Growth::Product(1)),
    ("arrow_cast", Growth::Type(1)),
    ("arrow_try_cast", Growth::Type(1)),
    ("levenshtein", Growth::Time(EDITS)),
    ("regexp_replace", Growth::Product(2)),
    ("replace", Growth::Product(2)),
    ("strpos", Growth::Time(SEARCHES)),
    ("translate", Growth::Sum),
];

/// The function itself, or the function behind a check.
pub fn checked(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match GROWING.iter().find(|(name, _)| *name == function.name()) {
        Some((_, growth)) => Arc::new(ScalarUDF::from(Checked { inner: function, growth: *growth })),
        None => function,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Checked {
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
        if let Growth::Type(at) = self.growth {
            typed::check_argument(args.scalar_arguments.get(at).copied().flatten())?;
        }
        self.inner.inner().return_field_from_args(args)
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(args)
    }

    /// Those that make no more than they are given are what they say; of the others the plan keeps the check.
    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Growth::Type(at) = self.growth else { return Ok(ExprSimplifyResult::Original(args)) };
        if let Some(Expr::Literal(name, _)) = args.get(at) {
            typed::check_argument(Some(name))?;
        }
        self.inner.inner().simplify(args, context)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Growth::Type(at) = self.growth {
            if let Some(ColumnarValue::Scalar(name)) = args.args.get(at) {
                typed::check_argument(Some(name))?;
            }
            return self.inner.inner().invoke_with_args(args);
        }
        let given: usize = args.args.iter().map(|arg| bytes(arg, args.number_rows)).sum();
        let most = if constant(&args.args) { CONSTANT } else { BATCH };
        if given > most {
            return exec_err!("{} would make more than {most} bytes at once", self.name());
        }
        match self.growth {
            Growth::Sum | Growth::Type(_) => {}
            Growth::Parts => self.check_parts(&args)?,
            Growth::Format(at) => self.check_format(&args, at)?,
            Growth::Product(other) => self.check_product(&args, other)?,
            Growth::Time(most) => self.check_time(&args, most)?,
        }
        self.inner.inner().invoke_with_args(args)
    }
}

impl Checked {
    fn check_product(&self, args: &ScalarFunctionArgs, other: usize) -> Result<()> {
        let (Some(text), Some(other)) = (args.args.first(), args.args.get(other)) else { return Ok(()) };
        let (text, other) = (lengths(text, args.number_rows)?, lengths(other, args.number_rows)?);
        let mut total = 0usize;
        for (length, by) in text.into_iter().zip(other) {
            let grown = length.saturating_mul(by + 1);
            total = total.saturating_add(grown);
            if grown > ROW && by > 1 || total > BATCH * 4 {
                return exec_err!("{} could make a text of {grown} bytes, more than is allowed", self.name());
            }
        }
        Ok(())
    }

    /// A text has at most as many parts as letters.
    fn check_parts(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let Some(text) = args.args.first() else { return Ok(()) };
        let texts = cast(&text.to_array(args.number_rows)?, &DataType::Utf8View)?;
        let delimiter = match args.args.get(1) {
            Some(ColumnarValue::Scalar(value)) => value.try_as_str().flatten(),
            _ => None,
        };
        let parts = |text: &str| match delimiter {
            Some(delimiter) if !delimiter.is_empty() => text.matches(delimiter).count() + 1,
            _ => text.len() + 1,
        };
        let made: usize = texts.as_string_view().iter().flatten().map(parts).sum::<usize>().saturating_mul(PART);
        if made > BATCH {
            return exec_err!("{} would make more than {BATCH} bytes at once", self.name());
        }
        Ok(())
    }

    fn check_format(&self, args: &ScalarFunctionArgs, at: usize) -> Result<()> {
        let Some(format) = args.args.get(at) else { return Ok(()) };
        match lengths(format, args.number_rows)?.into_iter().max() {
            Some(longest) if longest > FORMAT => {
                exec_err!("{} with a format of {longest} bytes, at most {FORMAT} are allowed", self.name())
            }
            _ => Ok(()),
        }
    }

    fn check_time(&self, args: &ScalarFunctionArgs, most: usize) -> Result<()> {
        let [one, other] = &args.args[..] else { return Ok(()) };
        let pairs = lengths(one, args.number_rows)?.into_iter().zip(lengths(other, args.number_rows)?);
        let work = pairs.fold(0usize, |sum, (one, other)| sum.saturating_add(one.saturating_mul(other)));
        if work > most {
            return exec_err!(
                "{} would compare {work} pairs of letters at once, at most {most} are allowed",
                self.name()
            );
        }
        Ok(())
    }
}

/// The function behind `||`.
pub const JOIN_TEXTS: &str = "join_texts";

/// `a || b || …` on texts: null where any of them is null.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JoinTexts {
    signature: Signature,
}

impl ScalarUDFImpl for JoinTexts {
    fn name(&self) -> &str {
        JOIN_TEXTS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8View; args.len()])
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let most = if constant(&args.args) { CONSTANT } else { ROW };
        let parts = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let parts: Vec<_> = parts.iter().map(|a| a.as_string_view()).collect();
        let mut out = StringViewBuilder::with_capacity(args.number_rows);
        let (mut text, mut total) = (String::new(), 0);
        for row in 0..args.number_rows {
            if parts.iter().any(|part| part.is_null(row)) {
                out.append_null();
                continue;
            }
            let length: usize = parts.iter().map(|part| part.value(row).len()).sum();
            total += length;
            if length > most || total > BATCH {
                return exec_err!("|| would make a text of more than {most} bytes");
            }
            text.clear();
            parts.iter().for_each(|part| text.push_str(part.value(row)));
            out.append_value(&text);
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

pub fn join_texts() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(JoinTexts { signature: Signature::user_defined(Volatility::Immutable) }))
}

/// Whether the planner may compute this by itself.
fn constant(args: &[ColumnarValue]) -> bool {
    args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

/// Bytes of an argument, a scalar counted for every row.
fn bytes(arg: &ColumnarValue, rows: usize) -> usize {
    match arg {
        // A slice counts as what it shows, not as the buffers it shares.
        ColumnarValue::Array(array) => {
            array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
        }
        ColumnarValue::Scalar(value) => value.size().saturating_mul(rows.max(1)),
    }
}

/// The length of each row's text in bytes, or of its list in elements.
fn lengths(arg: &ColumnarValue, rows: usize) -> Result<Vec<usize>> {
    let array: ArrayRef = arg.to_array(rows)?;
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (0..list.len()).map(|row| list.value_length(row).max(0) as usize).collect()
        }
        ty if ty.is_string() => {
            let text = cast(&array, &DataType::Utf8View)?;
            text.as_string_view().iter().map(|t| t.map_or(0, str::len)).collect()
        }
        _ => vec![1; array.len()],
    })
}
