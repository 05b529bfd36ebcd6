//! Load levels: the stretches of time in which requests arrived at a constant rate, found from the arrivals alone,
//! so that the analyses have a baseline without anyone marking one.
//!
//! ```text
//! counts per bin ─√─▶ noise of equal size ─median─▶ without short dips ─PELT─▶ pieces ─▶ levels and transitions
//! ```
//!
//! The square root makes the spread of counts independent of their size (Anscombe, Biometrika 35, 1948). PELT
//! (Killick, Fearnhead and Eckley, Journal of the American Statistical Association 107, 2012) then finds the
//! cheapest pieces under squared error plus a penalty per piece of the BIC's form, scaled by how much noisier than
//! Poisson the arrivals are. What is left of ramps, warm-ups and stalls is judged afterwards by plain rules.

use std::ops::Range;

/// Two neighbouring levels differ by at least this part of the lower one.
const LEAST_CHANGE: f64 = 0.15;
/// A level lasts at least this long.
const LEAST_SECONDS: f64 = 5.0;
/// Penalty per piece in units of noise variance times ln(n); 2 is the BIC's, and the median filter asks for more.
const PENALTY: f64 = 4.0;

/// A stretch of bins.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Segment {
    /// First bin.
    pub start: usize,
    /// The bin after the last.
    pub end: usize,
    /// Arrivals per second.
    pub rate: f64,
    /// On the way from one level to the next: a ramp, or a warm-up at the beginning. Not a level to compare with.
    pub is_transition: bool,
}

impl Segment {
    pub fn bins(&self) -> usize {
        self.end - self.start
    }
}

/// Cuts the series into levels and transitions, which cover it without gap. `bin_seconds` is the length of a bin.
///
/// The cost is O(n²) at worst (a load that never changes), so choose bins such that there are a few thousand.
pub fn load_levels(counts: &[u64], bin_seconds: f64) -> Vec<Segment> {
    if counts.is_empty() || bin_seconds.is_nan() || bin_seconds <= 0.0 {
        return Vec::new();
    }
    let least = ((LEAST_SECONDS / bin_seconds).ceil() as usize).max(2);
    let series = Series { counts, bin_seconds, least };
    let stable: Vec<f64> = counts.iter().map(|&n| 2.0 * (n as f64 + 0.375).sqrt()).collect();
    let penalty = PENALTY * noise_variance(&stable) * (counts.len() as f64).ln();
    let cuts = cheapest_cuts(&running_median(&stable, least / 2), least, penalty);
    let mut segments: Vec<Segment> = cuts.windows(2).map(|w| series.segment(w[0]..w[1])).collect();
    series.join_alike(&mut segments);
    series.fill_dips(&mut segments);
    series.mark_transitions(&mut segments);
    segments
}

/// The level with which to compare `window`: the last one before it that carried less load.
///
/// A level that reaches into the window is cut at its start. Times without any load are no baseline.
pub fn baseline_for(segments: &[Segment], window: Range<usize>) -> Option<Segment> {
    let (mut arrivals, mut bins) = (0.0, 0.0);
    for segment in segments {
        let inside = segment.end.min(window.end).saturating_sub(segment.start.max(window.start)) as f64;
        arrivals += inside * segment.rate;
        bins += inside;
    }
    let lower = |rate: f64| rate > 0.0 && rate * (1.0 + LEAST_CHANGE) <= arrivals / bins;
    let before = segments.iter().rev().filter(|s| s.start < window.start && !s.is_transition);
    before.filter(|s| lower(s.rate)).map(|s| Segment { end: s.end.min(window.start), ..s.clone() }).next()
}

/// The level with the highest load within `range`, of several alike the last: what to look at when a range of time
/// holds several levels. It is cut to the range.
pub fn busiest_level(segments: &[Segment], range: Range<usize>) -> Option<Segment> {
    let mut busiest: Option<Segment> = None;
    for segment in segments.iter().filter(|s| !s.is_transition && s.rate > 0.0) {
        let cut = Segment { start: segment.start.max(range.start), end: segment.end.min(range.end), ..segment.clone() };
        let busier = |best: &Segment| cut.rate * (1.0 + LEAST_CHANGE) > best.rate;
        if cut.start < cut.end && busiest.as_ref().is_none_or(busier) {
            busiest = Some(cut);
        }
    }
    busiest
}

/// The variance of the noise, from the middle of the differences between neighbours, which steps do not touch.
/// Never below 1, that of Poisson arrivals on this scale: evenly paced arrivals need no finer levels.
fn noise_variance(stable: &[f64]) -> f64 {
    let mut differences: Vec<f64> = stable.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    if differences.is_empty() {
        return 1.0;
    }
    let middle = differences.len() / 2;
    let (_, median, _) = differences.select_nth_unstable_by(middle, f64::total_cmp);
    // 0.6745 is the median of |Z|; a difference has twice the variance.
    ((*median / 0.6745).powi(2) / 2.0).max(1.0)
}

/// The median of each bin and `reach` neighbours on either side: removes what is shorter, keeps edges in place.
fn running_median(values: &[f64], reach: usize) -> Vec<f64> {
    let mut around = Vec::with_capacity(2 * reach + 1);
    let median_at = |i: usize| {
        // Shrinks towards the ends, so that it stays centred.
        let reach = reach.min(i).min(values.len() - 1 - i);
        around.clear();
        around.extend_from_slice(&values[i - reach..=i + reach]);
        *around.select_nth_unstable_by(reach, f64::total_cmp).1
    };
    (0..values.len()).map(median_at).collect()
}

/// PELT for a change of the mean: the borders of the cheapest pieces, 0 and the length included.
fn cheapest_cuts(values: &[f64], least: usize, penalty: f64) -> Vec<usize> {
    let n = values.len();
    let (mut sum, mut squares) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    for (i, &v) in values.iter().enumerate() {
        sum[i + 1] = sum[i] + v;
        squares[i + 1] = squares[i] + v * v;
    }
    let cost = |from: usize, to: usize| {
        let total = sum[to] - sum[from];
        squares[to] - squares[from] - total * total / (to - from) as f64
    };
    let mut best = vec![f64::INFINITY; n + 1];
    let mut cut_before = vec![0; n + 1];
    best[0] = -penalty;
    let mut candidates: Vec<usize> = Vec::new();
    for to in least.min(n)..=n {
        if to >= 2 * least || to == least.min(n) {
            candidates.push(to.saturating_sub(least));
        }
        for &from in &candidates {
            let total = best[from] + cost(from, to) + penalty;
            if total < best[to] {
                best[to] = total;
                cut_before[to] = from;
            }
        }
        candidates.retain(|&from| best[from] + cost(from, to) <= best[to]);
    }
    let mut cuts = vec![n];
    while let Some(&last) = cuts.last()
        && last > 0
    {
        cuts.push(cut_before[last]);
    }
    cuts.reverse();
    cuts
}

/// The series with what is needed to judge pieces of it.
struct Series<'a> {
    counts: &'a [u64],
    bin_seconds: f64,
    /// Bins of the shortest level.
    least: usize,
}

impl Series<'_> {
    fn segment(&self, bins: Range<usize>) -> Segment {
        let arrivals: u64 = self.counts[bins.clone()].iter().sum();
        let rate = arrivals as f64 / (bins.len() as f64 * self.bin_seconds);
        Segment { start: bins.start, end: bins.end, rate, is_transition: false }
    }

    /// Joins neighbours that differ by too little, the most alike first.
    fn join_alike(&self, segments: &mut Vec<Segment>) {
        loop {
            let changes = segments.windows(2).map(|w| change(w[0].rate, w[1].rate)).enumerate();
            match changes.min_by(|a, b| a.1.total_cmp(&b.1)) {
                Some((at, smallest)) if smallest < LEAST_CHANGE => self.join(segments, at..at + 2),
                _ => return,
            }
        }
    }

    /// A stall of less than two shortest levels, after which the load goes on as before, is no level.
    fn fill_dips(&self, segments: &mut Vec<Segment>) {
        let is_dip = |w: &[Segment]| {
            w[1].bins() < 2 * self.least && w[1].rate < w[0].rate && change(w[0].rate, w[2].rate) < LEAST_CHANGE
        };
        while let Some(at) = segments.windows(3).position(is_dip) {
            self.join(segments, at..at + 3);
        }
    }

    fn join(&self, segments: &mut Vec<Segment>, which: Range<usize>) {
        let joined = self.segment(segments[which.start].start..segments[which.end - 1].end);
        segments.splice(which, [joined]);
    }

    /// Marks the pieces of ramps and a short warm-up, and makes one piece of those side by side.
    fn mark_transitions(&self, segments: &mut Vec<Segment>) {
        let marks: Vec<bool> = (0..segments.len()).map(|i| self.is_transition(segments, i)).collect();
        for (segment, mark) in segments.iter_mut().zip(marks) {
            segment.is_transition = mark;
        }
        while let Some(at) = segments.windows(2).position(|w| w[0].is_transition && w[1].is_transition) {
            self.join(segments, at..at + 2);
            segments[at].is_transition = true;
        }
    }

    fn is_transition(&self, segments: &[Segment], i: usize) -> bool {
        let rate = |i: usize| segments.get(i).map(|s| s.rate);
        let (before, here, after) = (i.checked_sub(1).and_then(rate), segments[i].rate, rate(i + 1));
        let short = |i: usize| segments.get(i).is_some_and(|s| s.bins() < 2 * self.least);
        let warm_up = before.is_none() && after.is_some_and(|after| here < after);
        if warm_up && short(i) {
            return true;
        }
        // The usual change from piece to piece; none where the load turns round.
        let step = match (before, after) {
            (Some(before), Some(after)) if (here - before) * (after - here) > 0.0 => (after - before) / 2.0,
            (Some(before), None) => here - before,
            (None, Some(after)) => after - here,
            _ => return false,
        };
        // Several short pieces in a row, all up or all down, are a ramp; one alone has to show its slope.
        let neighbours = [i.checked_sub(1), Some(i + 1)];
        let among_short = |j: usize| short(j) && j > 0 && j + 1 < segments.len() && self.goes_on(segments, j, step);
        let in_a_row = short(i) && i > 0 && neighbours.into_iter().flatten().any(among_short);
        in_a_row || self.trend(&segments[i]) / step > 0.5
    }

    /// Whether the load moves through piece `i`, from the one before to the one after, in the direction of `step`.
    fn goes_on(&self, segments: &[Segment], i: usize, step: f64) -> bool {
        segments[i - 1..i + 2].windows(2).all(|w| (w[1].rate - w[0].rate) * step > 0.0)
    }

    /// By how much the rate rises from the beginning to the end of a piece, by least squares.
    fn trend(&self, segment: &Segment) -> f64 {
        let n = segment.bins() as f64;
        let middle = (n - 1.0) / 2.0;
        let (mut up, mut spread) = (0.0, 0.0);
        for (i, &count) in self.counts[segment.start..segment.end].iter().enumerate() {
            up += (i as f64 - middle) * count as f64;
            spread += (i as f64 - middle).powi(2);
        }
        if spread > 0.0 { up / spread * n / self.bin_seconds } else { 0.0 }
    }
}

/// The relative change between two rates, by the lower one.
fn change(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.min(b) }
}

#[cfg(test)]
mod tests;
