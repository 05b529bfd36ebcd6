//! Data points as the store has them, grouped into series, and what each adds: the rise of a counter or histogram
//! since the point before, by the rules of OpenTelemetry's metrics data model (reliability.md, 2.6).
//!
//! * Intervals are `(start, time]`; a new start is a reset, and nothing is subtracted across it.
//! * A start equal to the time is a reset at an unknown moment: such a point adds nothing.
//! * A delta without a start, or with one that is not before its time, was counted since the point before it.
//! * A point without a value (`NO_RECORDED_VALUE`) ends the series: a gap, not zero.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use model::Nanos;
use model::schema::column;

use super::buckets::{Buckets, Exponential};

/// OTLP `DataPointFlags.NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: i64 = 1;

/// The least and the greatest value of a histogram, where its sender tells them.
pub type Range = Option<(f64, f64)>;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a gauge, or a sum.
    Number(f64),
    Histogram {
        count: f64,
        sum: Option<f64>,
        range: Range,
        buckets: Buckets,
    },
    Exponential {
        count: f64,
        sum: Option<f64>,
        range: Range,
        histogram: Exponential,
    },
    Summary {
        count: f64,
        sum: f64,
        quantiles: Vec<(f64, f64)>,
    },
    /// A staleness marker.
    Gap,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub start: Nanos,
    pub time: Nanos,
    pub value: Value,
}

impl Point {
    /// Bytes held, about; a bucket takes some 48 in its tree.
    pub fn size(&self) -> usize {
        let buckets = match &self.value {
            Value::Histogram { buckets, .. } => buckets.len(),
            Value::Exponential { histogram, .. } => histogram.positive.len() + histogram.negative.len(),
            Value::Summary { quantiles, .. } => quantiles.len(),
            Value::Number(_) | Value::Gap => 0,
        };
        size_of::<Point>() + buckets * 48
    }
}

/// What a point adds, spread over `(from, to]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    pub from: Nanos,
    pub to: Nanos,
    pub value: Value,
}

/// How the points of a series relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporality {
    Delta,
    Cumulative,
}

/// The rises of one series, whose points are in order of time.
pub fn rises(points: &[Point], temporality: Temporality) -> Vec<Rise> {
    if temporality == Temporality::Delta {
        let kept = points.iter().enumerate().filter(|(_, p)| p.value != Value::Gap);
        return kept.map(|(at, p)| delta(at.checked_sub(1).map(|before| &points[before]), p)).collect();
    }
    let mut out = Vec::new();
    let mut before: Option<&Point> = None;
    for point in points {
        if point.value == Value::Gap {
            before = None;
            continue;
        }
        out.extend(rise(before, point));
        before = Some(point);
    }
    out
}

fn delta(before: Option<&Point>, now: &Point) -> Rise {
    let told = Some(now.start).filter(|start| 0 < *start && *start < now.time);
    let from = told.or(before.map(|before| before.time)).unwrap_or(now.time);
    Rise { from, to: now.time, value: now.value.clone() }
}

fn rise(before: Option<&Point>, now: &Point) -> Option<Rise> {
    let known_start = now.start > 0 && now.start < now.time;
    let Some(before) = before.filter(|b| b.time < now.time) else {
        // The first point seen: its count began at its start, which may be long ago, so spread it over all of it.
        return known_start.then(|| Rise { from: now.start, to: now.time, value: now.value.clone() });
    };
    if now.start > before.start && now.start >= before.time {
        return known_start.then(|| Rise { from: now.start, to: now.time, value: now.value.clone() });
    }
    // A fall without a new start is a reset that the sender did not tell; what was counted since is all there is.
    let value = less(&now.value, &before.value).unwrap_or_else(|| now.value.clone());
    Some(Rise { from: before.time, to: now.time, value })
}

fn less(now: &Value, before: &Value) -> Option<Value> {
    let rest = |now: f64, before: f64| (now >= before).then_some(now - before);
    Some(match (now, before) {
        (Value::Number(now), Value::Number(before)) => Value::Number(rest(*now, *before)?),
        (Value::Histogram { count, sum, range, buckets }, Value::Histogram { count: c, sum: s, buckets: b, .. }) => {
            Value::Histogram {
                count: rest(*count, *c)?,
                sum: sum.zip(*s).map(|(now, before)| now - before),
                range: *range,
                buckets: buckets.since(b)?,
            }
        }
        (
            Value::Exponential { count, sum, range, histogram },
            Value::Exponential { count: c, sum: s, histogram: h, .. },
        ) => Value::Exponential {
            count: rest(*count, *c)?,
            sum: sum.zip(*s).map(|(now, before)| now - before),
            range: *range,
            histogram: histogram.since(h)?,
        },
        (Value::Summary { count, sum, quantiles }, Value::Summary { count: c, sum: s, .. }) => {
            Value::Summary { count: rest(*count, *c)?, sum: sum - s, quantiles: quantiles.clone() }
        }
        _ => return None,
    })
}

/// Typed access to the columns of `physical.metrics`.
pub struct Columns<'a>(pub &'a RecordBatch);

impl<'a> Columns<'a> {
    fn array(&self, name: &str) -> Option<&'a ArrayRef> {
        self.0.column_by_name(name)
    }

    pub fn text(&self, name: &str, row: usize) -> &'a str {
        let values = self.array(name).and_then(|c| c.as_string_view_opt());
        values.filter(|v| !v.is_null(row)).map_or("", |v| v.value(row))
    }

    pub fn int(&self, name: &str, row: usize) -> Option<i64> {
        let array = self.array(name).filter(|a| !a.is_null(row))?;
        match array.as_primitive_opt::<Int64Type>() {
            Some(values) => Some(values.value(row)),
            None => array.as_primitive_opt::<Int32Type>().map(|v| i64::from(v.value(row))),
        }
    }

    pub fn float(&self, name: &str, row: usize) -> Option<f64> {
        let values = self.array(name)?.as_primitive_opt::<Float64Type>()?;
        (!values.is_null(row)).then(|| values.value(row))
    }

    pub fn truth(&self, name: &str, row: usize) -> bool {
        let values = self.array(name).and_then(|c| c.as_boolean_opt());
        values.is_some_and(|v| !v.is_null(row) && v.value(row))
    }

    fn list(&self, name: &str, row: usize) -> Option<ArrayRef> {
        let list = self.array(name)?.as_list_opt::<i32>()?;
        (!list.is_null(row)).then(|| list.value(row))
    }

    fn floats(&self, name: &str, row: usize) -> Vec<f64> {
        let list = self.list(name, row);
        list.and_then(|l| Some(l.as_primitive_opt::<Float64Type>()?.values().to_vec())).unwrap_or_default()
    }

    fn ints(&self, name: &str, row: usize) -> Vec<i64> {
        let list = self.list(name, row);
        list.and_then(|l| Some(l.as_primitive_opt::<Int64Type>()?.values().to_vec())).unwrap_or_default()
    }

    pub fn point(&self, row: usize) -> Point {
        let value =
            if self.int("flags", row).unwrap_or(0) & NO_RECORDED_VALUE != 0 { Value::Gap } else { self.value(row) };
        Point {
            start: self.int(column::START, row).unwrap_or(0),
            time: self.int(column::TIME, row).unwrap_or(0),
            value,
        }
    }

    fn value(&self, row: usize) -> Value {
        let count = self.int("count", row).unwrap_or(0) as f64;
        let sum = self.float("sum", row);
        let range = self.float("min", row).zip(self.float("max", row)).filter(|(min, max)| min <= max);
        match self.text("type", row) {
            "HISTOGRAM" => {
                let buckets = Buckets::explicit(&self.floats("explicit_bounds", row), &self.ints("bucket_counts", row));
                Value::Histogram { count, sum, range, buckets }
            }
            "EXPONENTIAL_HISTOGRAM" => Value::Exponential { count, sum, range, histogram: self.exponential(row) },
            "SUMMARY" => Value::Summary { count, sum: sum.unwrap_or(0.0), quantiles: self.quantiles(row) },
            _ => match self.float("value", row).or(self.int("value_int", row).map(|v| v as f64)) {
                Some(number) => Value::Number(number),
                None => Value::Gap,
            },
        }
    }

    fn exponential(&self, row: usize) -> Exponential {
        let side = |offset: &str, counts: &str| -> BTreeMap<i64, f64> {
            let first = self.int(offset, row).unwrap_or(0);
            let counts = self.ints(counts, row);
            (first..).zip(counts).filter(|(_, n)| *n > 0).map(|(index, n)| (index, n as f64)).collect()
        };
        Exponential {
            scale: self.int("scale", row).unwrap_or(0) as i32,
            zero: self.int("zero_count", row).unwrap_or(0) as f64,
            zero_threshold: self.float("zero_threshold", row).unwrap_or(0.0),
            positive: side("positive_offset", "positive_counts"),
            negative: side("negative_offset", "negative_counts"),
        }
    }

    fn quantiles(&self, row: usize) -> Vec<(f64, f64)> {
        let Some(list) = self.list("quantiles", row) else { return Vec::new() };
        let Some(items) = list.as_struct_opt() else { return Vec::new() };
        let side = |name: &str| items.column_by_name(name).and_then(|c| c.as_primitive_opt::<Float64Type>());
        let (Some(quantiles), Some(values)) = (side("quantile"), side("value")) else { return Vec::new() };
        quantiles.values().iter().copied().zip(values.values().iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start: Nanos, time: Nanos, value: f64) -> Point {
        Point { start, time, value: Value::Number(value) }
    }

    fn numbers(points: &[Point], temporality: Temporality) -> Vec<(Nanos, Nanos, f64)> {
        let number = |rise: Rise| match rise.value {
            Value::Number(n) => (rise.from, rise.to, n),
            other => panic!("{other:?}"),
        };
        rises(points, temporality).into_iter().map(number).collect()
    }

    #[test]
    fn nothing_is_subtracted_across_a_reset() {
        let points = [point(10, 20, 5.0), point(10, 30, 8.0), point(40, 50, 2.0), point(40, 60, 6.0)];
        let expected = [(10, 20, 5.0), (20, 30, 3.0), (40, 50, 2.0), (50, 60, 4.0)];
        assert_eq!(numbers(&points, Temporality::Cumulative), expected);
    }

    #[test]
    fn a_start_equal_to_the_time_adds_nothing() {
        let points = [point(10, 20, 5.0), point(30, 30, 2.0), point(30, 40, 7.0)];
        assert_eq!(numbers(&points, Temporality::Cumulative), [(10, 20, 5.0), (30, 40, 5.0)]);
    }

    #[test]
    fn a_fall_without_a_new_start_counts_from_zero() {
        let points = [point(0, 20, 5.0), point(0, 30, 2.0)];
        assert_eq!(numbers(&points, Temporality::Cumulative), [(20, 30, 2.0)]);
    }

    #[test]
    fn a_gap_breaks_the_series() {
        let gap = Point { start: 0, time: 30, value: Value::Gap };
        let points = [point(0, 20, 5.0), gap, point(0, 40, 9.0), point(0, 50, 10.0)];
        assert_eq!(numbers(&points, Temporality::Cumulative), [(40, 50, 1.0)]);
    }

    #[test]
    fn deltas_stand_for_themselves() {
        let points = [point(10, 20, 5.0), point(20, 30, 2.0)];
        assert_eq!(numbers(&points, Temporality::Delta), [(10, 20, 5.0), (20, 30, 2.0)]);
        let (first, told_late, later) = (point(0, 20, 5.0), point(30, 30, 2.0), point(0, 50, 7.0));
        let since_the_one_before = [(20, 20, 5.0), (20, 30, 2.0), (30, 50, 7.0)];
        assert_eq!(numbers(&[first, told_late, later], Temporality::Delta), since_the_one_before);
    }
}
