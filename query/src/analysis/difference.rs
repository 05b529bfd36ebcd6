//! What sets a selection of spans apart: the attribute values that are more (or less) common in it than elsewhere.
//!
//! Spans of one operation should be compared with each other; then a key that only one side has is a finding, not an
//! accident of comparing unlike spans. Shares are among the spans that have the key; having it at all is judged apart.
//! A value's score is the smallest difference of shares that is still plausible (the near end of Newcombe's 95 %
//! interval), so that two of three never outranks 600 of 1,000, and a key that is unique to every span scores nothing.

use super::significance::{Z95, false_discovery_rates, newcombe, normal_tail};

/// How many spans of each side have an attribute, and with which values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCount {
    pub key: String,
    pub selection: u64,
    pub baseline: u64,
    /// Not all, where there are very many.
    pub values: Vec<ValueCount>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueCount {
    pub value: String,
    pub selection: u64,
    pub baseline: u64,
}

/// How many spans each side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    pub selection: u64,
    pub baseline: u64,
}

/// One value of a key.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ValueDifference {
    pub value: String,
    pub selection: u64,
    pub baseline: u64,
    /// Shares of the spans that have the key, 0 to 1.
    pub selection_share: f64,
    pub baseline_share: f64,
    /// The plausible difference of the shares, positive when more common in the selection; 0 when it may be chance.
    pub score: f64,
    /// 1 less the false-discovery rate at which this value would be reported.
    pub confidence: f64,
}

/// One key with its values, the most different first.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct KeyDifference {
    pub key: String,
    /// Share of each side's spans that have the key at all, 0 to 1.
    pub selection_coverage: f64,
    pub baseline_coverage: f64,
    /// The plausible difference of the coverages, signed like [`ValueDifference::score`].
    pub coverage_score: f64,
    /// The largest score by size, of a value or of the coverage; keys are ranked by it.
    pub score: f64,
    pub values: Vec<ValueDifference>,
}

/// Compares two sides; of each key the `limit` most different values are kept.
pub fn differences(counts: &[KeyCount], totals: Totals, limit: usize) -> Vec<KeyDifference> {
    let mut keys: Vec<KeyDifference> = counts.iter().map(|key| compare(key, totals)).collect();
    let p: Vec<f64> = keys.iter().flat_map(|key| key.values.iter().map(|v| v.confidence)).collect();
    let mut rates = false_discovery_rates(&p).into_iter();
    for key in &mut keys {
        for (value, rate) in key.values.iter_mut().zip(&mut rates) {
            value.confidence = 1.0 - rate;
        }
        key.values.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()).then_with(|| b.selection.cmp(&a.selection)));
        key.values.truncate(limit);
    }
    keys.sort_by(|a, b| b.score.total_cmp(&a.score));
    keys
}

/// One key; `confidence` of its values is still a p-value.
fn compare(key: &KeyCount, totals: Totals) -> KeyDifference {
    let with_key = Totals { selection: key.selection, baseline: key.baseline };
    let values: Vec<ValueDifference> = key
        .values
        .iter()
        .map(|v| {
            let (a, b) = ((v.selection, with_key.selection), (v.baseline, with_key.baseline));
            ValueDifference {
                value: v.value.clone(),
                selection: v.selection,
                baseline: v.baseline,
                selection_share: share(a),
                baseline_share: share(b),
                score: plausible_difference(a, b),
                confidence: p_of_difference(a, b),
            }
        })
        .collect();
    let (a, b) = ((with_key.selection, totals.selection), (with_key.baseline, totals.baseline));
    let coverage_score = plausible_difference(a, b);
    let score = values.iter().map(|v| v.score.abs()).fold(coverage_score.abs(), f64::max);
    let key = key.key.clone();
    KeyDifference { key, selection_coverage: share(a), baseline_coverage: share(b), coverage_score, score, values }
}

fn share((hits, n): (u64, u64)) -> f64 {
    if n == 0 { 0.0 } else { hits as f64 / n as f64 }
}

/// The end of the interval that is nearest to no difference, or 0 where the interval includes it.
fn plausible_difference(a: (u64, u64), b: (u64, u64)) -> f64 {
    let (low, high) = newcombe(a, b, Z95);
    if low > 0.0 { low } else { high.min(0.0) }
}

/// Two-sided test of equal proportions with the pooled variance.
fn p_of_difference(a: (u64, u64), b: (u64, u64)) -> f64 {
    if a.1 == 0 || b.1 == 0 {
        return 1.0;
    }
    let pooled = share((a.0 + b.0, a.1 + b.1));
    let variance = pooled * (1.0 - pooled) * (1.0 / a.1 as f64 + 1.0 / b.1 as f64);
    if variance <= 0.0 {
        return 1.0;
    }
    2.0 * normal_tail((share(a) - share(b)).abs() / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn count(key: &str, value: &str, selection: u64, baseline: u64) -> (String, ValueCount) {
        (key.into(), ValueCount { value: value.into(), selection, baseline })
    }

    fn differences(counts: &[(String, ValueCount)], totals: Totals, limit: usize) -> Vec<KeyDifference> {
        let mut keys: BTreeMap<&str, KeyCount> = BTreeMap::new();
        for (key, value) in counts {
            let none = || KeyCount { key: key.clone(), selection: 0, baseline: 0, values: Vec::new() };
            let of = keys.entry(key).or_insert_with(none);
            of.selection += value.selection;
            of.baseline += value.baseline;
            of.values.push(value.clone());
        }
        super::differences(&keys.into_values().collect::<Vec<_>>(), totals, limit)
    }

    const TOTALS: Totals = Totals { selection: 1000, baseline: 9000 };

    #[test]
    fn the_value_that_fills_the_selection_comes_first() {
        let counts = [
            count("app.region", "shenzhen", 910, 540),
            count("app.region", "beijing", 90, 8460),
            count("http.route", "/order", 520, 4500),
            count("http.route", "/cart", 480, 4500),
        ];
        let found = differences(&counts, TOTALS, 10);
        assert_eq!((found[0].key.as_str(), found[0].values.len()), ("app.region", 2));
        let shenzhen = found[0].values.iter().find(|v| v.value == "shenzhen").expect("listed");
        assert_eq!((shenzhen.selection_share, shenzhen.baseline_share), (0.91, 0.06));
        assert!(shenzhen.score > 0.8 && shenzhen.score < 0.85 && shenzhen.confidence > 0.999);
        assert!(found[0].values.iter().any(|v| v.value == "beijing" && v.score < -0.8));
        assert_eq!(found[1].score, 0.0, "52 % against 50 % of so few may be chance");
    }

    #[test]
    fn a_key_that_is_unique_to_every_span_scores_nothing() {
        let mut counts: Vec<_> = (0..1000).map(|i| count("user.id", &format!("s{i}"), 1, 0)).collect();
        counts.extend((0..9000).map(|i| count("user.id", &format!("b{i}"), 0, 1)));
        let found = differences(&counts, TOTALS, 5);
        assert!(found[0].score < 0.001, "{}", found[0].score);
        assert_eq!(found[0].values.len(), 5);
    }

    #[test]
    fn few_spans_never_outrank_many() {
        let counts = [
            count("few", "x", 2, 10),
            count("few", "y", 1, 500),
            count("many", "x", 600, 90),
            count("many", "y", 400, 8910),
        ];
        let found = differences(&counts, TOTALS, 5);
        assert_eq!(found[0].key, "many");
    }

    #[test]
    fn having_a_key_at_all_can_be_the_difference() {
        let counts = [count("exception.type", "Timeout", 700, 0)];
        let found = differences(&counts, TOTALS, 5);
        assert_eq!((found[0].selection_coverage, found[0].baseline_coverage), (0.7, 0.0));
        assert!(found[0].score > 0.6);
        assert_eq!(found[0].values[0].score, 0.0, "there is nothing to compare its value with");
    }

    #[test]
    fn nothing_to_compare_is_answered() {
        assert!(differences(&[], TOTALS, 5).is_empty());
        let found = differences(&[count("k", "v", 0, 0)], Totals { selection: 0, baseline: 0 }, 5);
        assert_eq!(found[0].score, 0.0);
    }
}
