//! `quantile(value, q)` and `latency_histogram(value)`, and the internal `sketch(value)` that the analyses use: three
//! ways to read one [`Sketch`] per group.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Int64Array, Int64Builder, ListArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

use super::sketch::Sketch;
use crate::analysis::histogram::bounds;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Answer {
    Quantile,
    Histogram,
    Bytes,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Latency {
    answer: Answer,
    signature: Signature,
}

impl Latency {
    fn udaf(answer: Answer) -> Arc<AggregateUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::from(Latency { answer, signature }))
    }

    /// The `q` of `quantile(value, q)`; 0 for the others.
    fn q(&self, args: &AccumulatorArgs) -> Result<f64> {
        if self.answer != Answer::Quantile {
            return Ok(0.0);
        }
        let literal = args.exprs.get(1).and_then(|e| e.downcast_ref::<Literal>());
        match literal.map(Literal::value) {
            Some(ScalarValue::Float64(Some(q))) if (0.0..=1.0).contains(q) => Ok(*q),
            _ => plan_err!("the second argument of quantile has to be a number from 0 to 1"),
        }
    }
}

fn bucket_fields() -> Fields {
    ["lower", "upper", "count"].map(|name| Field::new(name, DataType::Int64, false)).to_vec().into()
}

fn bucket_field() -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(bucket_fields()), true))
}

impl AggregateUDFImpl for Latency {
    fn name(&self) -> &str {
        match self.answer {
            Answer::Quantile => "quantile",
            Answer::Histogram => "latency_histogram",
            Answer::Bytes => "sketch",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = if self.answer == Answer::Quantile { 2 } else { 1 };
        if args.len() != wanted || !(args[0].is_numeric() || args[0].is_null()) {
            return plan_err!("{} takes {wanted} number(s), such as {}", self.name(), "duration_ns");
        }
        Ok([DataType::Int64, DataType::Float64][..wanted].to_vec())
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(match self.answer {
            Answer::Quantile => DataType::Int64,
            Answer::Histogram => DataType::List(bucket_field()),
            Answer::Bytes => DataType::Binary,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[sketch]", args.name), DataType::Binary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One { answer: self.answer, q: self.q(&args)?, sketch: Sketch::default() }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { answer: self.answer, q: self.q(&args)?, sketches: Vec::new(), bytes: 0 }))
    }
}

fn answer(answer: Answer, q: f64, sketches: &[Sketch]) -> Result<ArrayRef> {
    Ok(match answer {
        Answer::Quantile => Arc::new(sketches.iter().map(|s| s.quantile(q)).collect::<Int64Array>()),
        Answer::Bytes => Arc::new(encoded(sketches)),
        Answer::Histogram => Arc::new(histograms(sketches)?),
    })
}

fn encoded(sketches: &[Sketch]) -> BinaryArray {
    let mut out = BinaryBuilder::new();
    sketches.iter().for_each(|s| out.append_value(s.to_bytes()));
    out.finish()
}

fn histograms(sketches: &[Sketch]) -> Result<ListArray> {
    let mut columns = [Int64Builder::new(), Int64Builder::new(), Int64Builder::new()];
    let mut lengths = Vec::with_capacity(sketches.len());
    for sketch in sketches {
        let mut length = 0;
        for (bucket, count) in sketch.histogram().iter() {
            let bucket = bounds(bucket);
            for (column, value) in columns.iter_mut().zip([bucket.start, bucket.end, count]) {
                column.append_value(i64::try_from(value).unwrap_or(i64::MAX));
            }
            length += 1;
        }
        lengths.push(length);
    }
    let columns = columns.into_iter().map(|mut c| Arc::new(c.finish()) as ArrayRef).collect();
    let items = StructArray::try_new(bucket_fields(), columns, None)?;
    Ok(ListArray::try_new(bucket_field(), OffsetBuffer::from_lengths(lengths), Arc::new(items), None)?)
}

fn numbers(array: &ArrayRef) -> Result<&Int64Array> {
    match array.as_primitive_opt::<Int64Type>() {
        Some(numbers) => Ok(numbers),
        None => exec_err!("expected int64, got {}", array.data_type()),
    }
}

fn states(array: &ArrayRef) -> Result<&BinaryArray> {
    match array.as_binary_opt::<i32>() {
        Some(states) => Ok(states),
        None => exec_err!("expected a sketch, got {}", array.data_type()),
    }
}

#[derive(Debug)]
struct One {
    answer: Answer,
    q: f64,
    sketch: Sketch,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        numbers(&values[0])?.iter().flatten().for_each(|v| self.sketch.add(v));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let array = answer(self.answer, self.q, std::slice::from_ref(&self.sketch))?;
        ScalarValue::try_from_array(&array, 0)
    }

    fn size(&self) -> usize {
        self.sketch.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.sketch.to_bytes()))])
    }

    fn merge_batch(&mut self, batches: &[ArrayRef]) -> Result<()> {
        states(&batches[0])?.iter().flatten().for_each(|s| self.sketch.merge(&Sketch::from_bytes(s)));
        Ok(())
    }
}

struct Groups {
    answer: Answer,
    q: f64,
    sketches: Vec<Sketch>,
    /// Bytes held by all sketches, kept up to date so that the pool sees them without a walk.
    bytes: usize,
}

impl Groups {
    fn grow(&mut self, groups: usize) {
        self.bytes += groups.saturating_sub(self.sketches.len()) * size_of::<Sketch>();
        self.sketches.resize_with(groups.max(self.sketches.len()), Sketch::default);
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sketch)) {
        let sketch = &mut self.sketches[group];
        let before = sketch.size();
        change(sketch);
        self.bytes = (self.bytes + sketch.size()).saturating_sub(before);
    }

    fn take(&mut self, emit: EmitTo) -> Vec<Sketch> {
        let taken = emit.take_needed(&mut self.sketches);
        self.bytes = self.bytes.saturating_sub(taken.iter().map(Sketch::size).sum());
        taken
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.grow(total);
        let values = numbers(&values[0])?;
        for (row, group) in groups.iter().enumerate() {
            let kept = filter.is_none_or(|f| f.is_valid(row) && f.value(row));
            if kept && values.is_valid(row) {
                self.change(*group, |s| s.add(values.value(row)));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let taken = self.take(emit);
        answer(self.answer, self.q, &taken)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let taken = self.take(emit);
        Ok(vec![Arc::new(encoded(&taken))])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        for (state, group) in states(&values[0])?.iter().zip(groups) {
            if let Some(state) = state {
                self.change(*group, |s| s.merge(&Sketch::from_bytes(state)));
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = numbers(&values[0])?;
        let mut out = BinaryBuilder::new();
        for row in 0..values.len() {
            let mut sketch = Sketch::default();
            let kept = filter.is_none_or(|f| f.is_valid(row) && f.value(row));
            if kept && values.is_valid(row) {
                sketch.add(values.value(row));
            }
            out.append_value(sketch.to_bytes());
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

pub fn functions() -> Vec<Arc<AggregateUDF>> {
    [Answer::Quantile, Answer::Histogram, Answer::Bytes].map(Latency::udaf).into()
}
