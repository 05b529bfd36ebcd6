//! Points and rises of many series into one line per group: one value per step.

use std::collections::BTreeMap;

use model::Nanos;
use model::time::MINUTE;

use super::buckets::Buckets;
use super::point::{Range, Rise, Value};

/// The longest pause between two values of a series after which the first still held; as long as Prometheus looks back.
const HOLDS: Nanos = 5 * MINUTE;

/// How the values of one step become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    Avg,
    Max,
    Min,
    Sum,
    Rate,
    Count,
    Quantile(f64),
}

impl Aggregate {
    pub fn parse(text: &str) -> Option<Aggregate> {
        Some(match text {
            "avg" => Aggregate::Avg,
            "max" => Aggregate::Max,
            "min" => Aggregate::Min,
            "sum" => Aggregate::Sum,
            "rate" => Aggregate::Rate,
            "count" => Aggregate::Count,
            _ => {
                let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
                return (0.0..=100.0).contains(&percent).then_some(Aggregate::Quantile(percent / 100.0));
            }
        })
    }
}

/// The steps of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub start: Nanos,
    pub step: Nanos,
    pub count: usize,
}

impl Steps {
    fn at(&self, time: Nanos) -> Option<usize> {
        let at = usize::try_from(time.checked_sub(self.start)?.div_euclid(self.step)).ok()?;
        (time >= self.start && at < self.count).then_some(at)
    }

    /// The steps that `(from, to]` touches, with the share of it that lies in each.
    fn shares(&self, from: Nanos, to: Nanos) -> Vec<(usize, f64)> {
        let length = (i128::from(to) - i128::from(from)) as f64;
        if length <= 0.0 {
            return self.at(to).map(|at| (at, 1.0)).into_iter().collect();
        }
        let mut out = Vec::new();
        let first = ((i128::from(from) - i128::from(self.start)).max(0) / i128::from(self.step)) as usize;
        for at in first..self.count {
            let begin = i128::from(self.start) + at as i128 * i128::from(self.step);
            let end = begin + i128::from(self.step);
            let overlap = end.min(to.into()) - begin.max(from.into());
            if begin >= to.into() {
                break;
            }
            if overlap > 0 {
                out.push((at, overlap as f64 / length));
            }
        }
        out
    }
}

/// One step of one group.
#[derive(Debug, Clone, Default)]
struct Cell {
    /// Values of gauges; per-second rates of counters.
    values: Vec<f64>,
    /// What series that do not count have at once: the sum of the mean of each.
    held: Option<f64>,
    /// Rise of counters and of histogram counts.
    rise: f64,
    sum: f64,
    /// Whether `rise` and `sum` were given anything.
    risen: bool,
    buckets: Buckets,
    /// Of histograms: the ranges that were told, and whether one was not.
    range: Range,
    ranges_missing: bool,
    /// Summaries: (quantile, value) as sent.
    quantiles: Vec<(f64, f64)>,
}

/// A group's line.
#[derive(Debug, Clone)]
pub struct Line {
    steps: Steps,
    cells: Vec<Cell>,
}

impl Line {
    pub fn new(steps: Steps) -> Self {
        Line { steps, cells: vec![Cell::default(); steps.count] }
    }

    /// Values of one series that hold at moments, by time.
    pub fn gauge(&mut self, values: &[(Nanos, f64)]) {
        for (time, value) in values {
            if let Some(at) = self.steps.at(*time) {
                self.cells[at].values.push(*value);
            }
        }
        for (at, mean) in self.held(values) {
            *self.cells[at].held.get_or_insert(0.0) += mean;
        }
    }

    /// Of each step the mean of one series' values in it, or what it had before where the next is to come: series that send at
    /// other moments, and more seldom than there are steps, add up to what they have together. The last value holds as
    /// long as the one before it did, and none longer than [`HOLDS`].
    fn held(&self, values: &[(Nanos, f64)]) -> BTreeMap<usize, f64> {
        let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (time, value) in values {
            if let Some(at) = self.steps.at(*time) {
                let (sum, count) = sums.entry(at).or_default();
                (*sum, *count) = (*sum + value, *count + 1.0);
            }
        }
        let mut means: BTreeMap<usize, f64> = sums.into_iter().map(|(at, (sum, count))| (at, sum / count)).collect();
        let (step_of, count) =
            (|time: Nanos| time.saturating_sub(self.steps.start).div_euclid(self.steps.step), self.steps.count as i64);
        let mut gap = 0;
        for (number, (time, value)) in values.iter().enumerate() {
            let next = values.get(number + 1);
            gap = next.map_or(gap, |next| next.0.saturating_sub(*time));
            if gap > HOLDS {
                continue;
            }
            let end = step_of(time.saturating_add(gap)) + i64::from(next.is_none());
            for at in (step_of(*time) + 1).clamp(0, count)..end.clamp(0, count) {
                means.entry(at as usize).or_insert(*value);
            }
        }
        means
    }

    /// What was added over an interval, spread evenly over the steps it touches.
    pub fn rise(&mut self, rise: &Rise) {
        for (at, share) in self.steps.shares(rise.from, rise.to) {
            let cell = &mut self.cells[at];
            cell.risen = true;
            match &rise.value {
                Value::Number(n) => {
                    cell.rise += n * share;
                    let seconds = (rise.to - rise.from) as f64 / 1e9;
                    cell.values.extend((seconds > 0.0).then(|| n / seconds));
                }
                Value::Histogram { count, sum, range, buckets } => {
                    cell.add_range(*count, *range);
                    cell.rise += count * share;
                    cell.sum += sum.unwrap_or(0.0) * share;
                    cell.buckets.merge(buckets, share);
                }
                Value::Exponential { count, sum, range, histogram } => {
                    cell.add_range(*count, *range);
                    cell.rise += count * share;
                    cell.sum += sum.unwrap_or(0.0) * share;
                    cell.buckets.merge(&histogram.buckets(), share);
                }
                Value::Summary { count, sum, quantiles } => {
                    cell.rise += count * share;
                    cell.sum += sum * share;
                    cell.quantiles.extend(quantiles);
                }
                Value::Gap => {}
            }
        }
    }

    /// One value per step; `None` where nothing is known.
    pub fn values(&self, aggregate: Aggregate, counts_rises: bool) -> Vec<Option<f64>> {
        let seconds = self.steps.step as f64 / 1e9;
        self.cells.iter().map(|cell| cell.value(aggregate, counts_rises, seconds).filter(|v| v.is_finite())).collect()
    }
}

impl Cell {
    /// Of so many values; senders tell no range of none.
    fn add_range(&mut self, count: f64, range: Range) {
        if count <= 0.0 {
            return;
        }
        self.ranges_missing |= range.is_none();
        let both = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
        self.range = self.range.into_iter().chain(range).reduce(both);
    }

    fn value(&self, aggregate: Aggregate, counts_rises: bool, seconds: f64) -> Option<f64> {
        let rise = self.risen.then_some(self.rise);
        let distribution = self.sum != 0.0 || self.buckets.total() > 0.0 || !self.quantiles.is_empty();
        match aggregate {
            Aggregate::Rate => rise.map(|r| r / seconds),
            Aggregate::Count if counts_rises => rise,
            Aggregate::Count => Some(self.values.len() as f64).filter(|n| *n > 0.0),
            Aggregate::Sum if distribution => Some(self.sum),
            Aggregate::Sum if counts_rises => rise,
            Aggregate::Sum => self.held,
            Aggregate::Avg if distribution => (self.rise > 0.0).then(|| self.sum / self.rise),
            Aggregate::Avg => mean(&self.values),
            Aggregate::Max if distribution => self.quantile(1.0),
            Aggregate::Max => self.values.iter().copied().reduce(f64::max),
            Aggregate::Min if distribution => self.quantile(0.0),
            Aggregate::Min => self.values.iter().copied().reduce(f64::min),
            Aggregate::Quantile(q) if distribution => self.quantile(q),
            Aggregate::Quantile(q) => nearest_rank(&self.values, q),
        }
    }

    /// From buckets, and within the values that there were: a bucket may be much wider. Of summaries the mean of what was sent for the nearest quantile.
    fn quantile(&self, q: f64) -> Option<f64> {
        if let Some(value) = self.buckets.quantile(q) {
            let told = self.range.filter(|_| !self.ranges_missing);
            return Some(told.map_or(value, |(least, greatest)| value.clamp(least, greatest)));
        }
        let distance = |sent: f64| (sent - q).abs();
        let nearest = self.quantiles.iter().map(|(sent, _)| distance(*sent)).reduce(f64::min)?;
        let values: Vec<f64> =
            self.quantiles.iter().filter(|(sent, _)| distance(*sent) <= nearest).map(|(_, v)| *v).collect();
        mean(&values)
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn nearest_rank(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Steps = Steps { start: 0, step: 10_000_000_000, count: 3 };

    fn rise(from: i64, to: i64, n: f64) -> Rise {
        Rise { from: from * 1_000_000_000, to: to * 1_000_000_000, value: Value::Number(n) }
    }

    fn seconds(values: &[(i64, f64)]) -> Vec<(Nanos, f64)> {
        values.iter().map(|(time, value)| (time * 1_000_000_000, *value)).collect()
    }

    #[test]
    fn a_rise_is_spread_over_the_steps_it_touches() {
        let mut line = Line::new(STEPS);
        // 30 within (5, 20]: a third before 10 s, two thirds after.
        line.rise(&rise(5, 20, 30.0));
        assert_eq!(line.values(Aggregate::Rate, true), [Some(1.0), Some(2.0), None]);
    }

    #[test]
    fn what_lies_outside_the_window_is_left_out() {
        let mut line = Line::new(STEPS);
        line.rise(&rise(-10, 10, 20.0));
        line.rise(&rise(25, 35, 10.0));
        assert_eq!(line.values(Aggregate::Sum, true), [Some(10.0), None, Some(5.0)]);
    }

    #[test]
    fn gauges_are_averaged_within_a_step() {
        let mut line = Line::new(STEPS);
        line.gauge(&seconds(&[(0, 1.0), (9, 3.0), (10, 5.0), (30, 9.0)]));
        assert_eq!(line.values(Aggregate::Avg, false), [Some(2.0), Some(5.0), None]);
        assert_eq!(line.values(Aggregate::Quantile(1.0), false), [Some(3.0), Some(5.0), None]);
    }

    /// Two pools, of which one tells every 5 s and the other every 20 s, at other moments.
    #[test]
    fn values_of_several_series_add_up_to_what_they_have_at_once() {
        let mut line = Line::new(STEPS);
        line.gauge(&seconds(&[(0, 1.0), (5, 3.0), (10, 4.0), (15, 4.0), (20, 4.0), (25, 6.0)]));
        line.gauge(&seconds(&[(-15, 100.0), (5, 10.0), (25, 20.0)]));
        assert_eq!(line.values(Aggregate::Sum, false), [Some(12.0), Some(14.0), Some(25.0)]);
        let ended = |values: &[(i64, f64)]| {
            let mut line = Line::new(STEPS);
            line.gauge(&seconds(values));
            line.values(Aggregate::Sum, false)
        };
        assert_eq!(ended(&[(-12, 7.0), (0, 7.0)]), [Some(7.0), Some(7.0), None], "held for as long as before");
        assert_eq!(ended(&[(5, 7.0)]), [Some(7.0), None, None], "nobody knows for how long");
        assert_eq!(ended(&[(5, 7.0), (500, 8.0)]), [Some(7.0), None, None], "no longer the same after five minutes");
        assert_eq!(ended(&[(-5, 7.0), (25, 8.0)]), [Some(7.0), Some(7.0), Some(8.0)], "from before the window");
        assert_eq!(ended(&[(-50, 7.0), (-40, 8.0)]), [None, None, None]);
        assert_eq!(ended(&[(31, 7.0), (40, 8.0)]), [None, None, None], "after it");
    }

    /// A hundred values of 3 to 9 in a bucket of 0 to 5,000.
    #[test]
    fn a_quantile_is_no_value_that_there_was_not() {
        let histogram = |range: Range| {
            let buckets = Buckets::explicit(&[0.0, 5_000.0], &[0, 100, 0]);
            let value = Value::Histogram { count: 100.0, sum: Some(600.0), range, buckets };
            Rise { from: 0, to: 10_000_000_000, value }
        };
        let mut line = Line::new(STEPS);
        line.rise(&histogram(Some((3.0, 9.0))));
        assert_eq!(line.values(Aggregate::Quantile(0.99), true)[0], Some(9.0));
        assert_eq!(line.values(Aggregate::Min, true)[0], Some(3.0));
        let idle = Value::Histogram { count: 0.0, sum: None, range: None, buckets: Buckets::default() };
        line.rise(&Rise { from: 0, to: 10_000_000_000, value: idle });
        assert_eq!(line.values(Aggregate::Quantile(0.99), true)[0], Some(9.0), "nothing was measured there");
        line.rise(&histogram(None));
        assert_eq!(line.values(Aggregate::Quantile(0.99), true)[0], Some(4_950.0), "somebody does not tell");
    }
}
