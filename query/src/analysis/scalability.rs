//! Throughput against concurrency: the Universal Scalability Law, its fit, and where a rising figure passes a limit.
//!
//! ```text
//! X(N) = λ N / (1 + σ (N − 1) + κ N (N − 1))      λ: rate of one alone, σ: contention, κ: coherency
//! ```
//! The law is Gunther's (Guerrilla Capacity Planning, Springer 2007). Its reciprocal per unit of concurrency is linear,
//! `N/X = a + b N + c N (N − 1)` with `a = (1 − σ)/λ`, `b = σ/λ`, `c = κ/λ`, none of them negative, so the fit is
//! non-negative least squares (Lawson and Hanson, Solving Least Squares Problems, 1974); with three unknowns every
//! choice of zeros is simply tried. Residuals are relative, and outliers count less by Huber's weights (Annals of
//! Mathematical Statistics 35, 1964).
//!
//! Pure functions; chance comes in as a seed.

use super::significance::{Random, median};

/// One stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Mean number in the system.
    pub concurrency: f64,
    /// Completions per second.
    pub throughput: f64,
    /// Completions.
    pub weight: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Law {
    /// Throughput of one at a time, per second.
    pub lambda: f64,
    /// Contention: the part that is serial, 0 to 1.
    pub sigma: f64,
    /// Coherency: what each pair costs.
    pub kappa: f64,
}

/// The most that the law allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    pub throughput: f64,
    /// Where it is reached; `None` when it is only approached.
    pub concurrency: Option<f64>,
}

impl Law {
    pub fn throughput(&self, concurrency: f64) -> f64 {
        let n = concurrency;
        self.lambda * n / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    /// By which part throughput grows with concurrency: the slope of their logarithms.
    pub fn slope(&self, concurrency: f64) -> f64 {
        let n = concurrency;
        let (shared, pairs) = (self.sigma * n, self.kappa * n * (2.0 * n - 1.0));
        1.0 - (shared + pairs) / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    /// `None` when throughput grows for ever.
    pub fn limit(&self) -> Option<Limit> {
        if self.kappa > 0.0 {
            let peak = ((1.0 - self.sigma) / self.kappa).sqrt().max(1.0);
            return Some(Limit { throughput: self.throughput(peak), concurrency: Some(peak) });
        }
        (self.sigma > 0.0).then(|| Limit { throughput: self.lambda / self.sigma, concurrency: None })
    }

    /// Where growth as of one alone would meet the limit: from there on more concurrency mostly means waiting.
    pub fn knee(&self) -> Option<f64> {
        self.limit().map(|limit| limit.throughput / self.lambda)
    }
}

/// Rounds of reweighting; the weights hardly move after a few.
const ROUNDS: usize = 20;
/// Huber's constant: 95 % efficient where errors are normal.
const HUBER: f64 = 1.345;

/// The law that fits best; `None` with fewer than three points that say anything.
pub fn fit(points: &[Point]) -> Option<Law> {
    let points: Vec<&Point> = points.iter().filter(|p| p.concurrency > 0.0 && p.throughput > 0.0).collect();
    if points.len() < 3 {
        return None;
    }
    // Rows are divided by N/X, so that residuals are relative and the right side is 1.
    let row = |p: &&Point| {
        let (n, per) = (p.concurrency, p.throughput / p.concurrency);
        [per, n * per, n * (n - 1.0) * per]
    };
    let rows: Vec<[f64; 3]> = points.iter().map(row).collect();
    let exact: Vec<f64> = points.iter().map(|p| p.weight.max(1.0).sqrt()).collect();
    let mut weights = exact.clone();
    let mut found = least_squares(&rows, &weights)?;
    for _ in 0..ROUNDS {
        let residual = |(row, exact): (&[f64; 3], &f64)| (1.0 - dot(row, &found)) * exact;
        let residuals: Vec<f64> = rows.iter().zip(&exact).map(residual).collect();
        let mut sizes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
        let scale = 1.4826 * median(&mut sizes).unwrap_or(0.0);
        if scale <= 1e-12 {
            break;
        }
        for ((weight, exact), residual) in weights.iter_mut().zip(&exact).zip(&residuals) {
            *weight = exact * (HUBER * scale / residual.abs()).min(1.0).sqrt();
        }
        found = least_squares(&rows, &weights)?;
    }
    let [a, b, c] = found;
    let of_one = a + b;
    (of_one > 0.0).then(|| Law { lambda: 1.0 / of_one, sigma: b / of_one, kappa: c / of_one })
}

fn dot(row: &[f64; 3], found: &[f64; 3]) -> f64 {
    row.iter().zip(found).map(|(a, b)| a * b).sum()
}

/// Non-negative least squares of `rows · x = 1`.
fn least_squares(rows: &[[f64; 3]], weights: &[f64]) -> Option<[f64; 3]> {
    // Columns differ by many orders of magnitude; scaled to one length the normal equations stay solvable.
    let length = |column: usize| rows.iter().zip(weights).map(|(row, w)| (row[column] * w).powi(2)).sum::<f64>().sqrt();
    let scale = [length(0), length(1), length(2)].map(|l| if l > 0.0 { l } else { 1.0 });
    let mut best: Option<(f64, [f64; 3])> = None;
    for chosen in 1_usize..8 {
        let columns: Vec<usize> = (0..3).filter(|column| chosen >> column & 1 == 1).collect();
        let Some(scaled) = solve(rows, weights, &scale, &columns) else { continue };
        let mut found = [0.0; 3];
        columns.iter().zip(&scaled).for_each(|(&column, value)| found[column] = value / scale[column]);
        if scaled.iter().any(|value| *value < 0.0) {
            continue;
        }
        let error: f64 = rows.iter().zip(weights).map(|(row, w)| ((1.0 - dot(row, &found)) * w).powi(2)).sum();
        if best.is_none_or(|(least, _)| error < least) {
            best = Some((error, found));
        }
    }
    best.map(|(_, found)| found)
}

/// The normal equations of some columns, by Gaussian elimination with pivoting.
fn solve(rows: &[[f64; 3]], weights: &[f64], scale: &[f64; 3], columns: &[usize]) -> Option<Vec<f64>> {
    let size = columns.len();
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for (row, w) in rows.iter().zip(weights) {
        let value = |i: usize| row[columns[i]] * w / scale[columns[i]];
        for (i, line) in matrix.iter_mut().enumerate() {
            (0..size).for_each(|j| line[j] += value(i) * value(j));
            line[size] += value(i) * w;
        }
    }
    for at in 0..size {
        let pivot = (at..size).max_by(|&a, &b| matrix[a][at].abs().total_cmp(&matrix[b][at].abs()))?;
        matrix.swap(at, pivot);
        if matrix[at][at].abs() < 1e-12 {
            return None;
        }
        for below in at + 1..size {
            let factor = matrix[below][at] / matrix[at][at];
            (at..=size).for_each(|j| matrix[below][j] -= factor * matrix[at][j]);
        }
    }
    let mut found = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|j| matrix[at][j] * found[j]).sum();
        found[at] = (matrix[at][size] - known) / matrix[at][at];
    }
    Some(found)
}

/// 95 % intervals of what a law says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intervals {
    pub lambda: (f64, f64),
    pub sigma: (f64, f64),
    pub kappa: (f64, f64),
    /// Of the limit's throughput; the upper end is infinite when some resamples have none.
    pub limit: (f64, f64),
}

/// Fits the law to `resamples` redrawings of the points, in blocks of neighbours since load goes on from one moment to
/// the next (Künsch, Annals of Statistics 17, 1989), and takes percentiles.
pub fn intervals(points: &[Point], resamples: usize, seed: u64) -> Option<Intervals> {
    let length = (points.len() as f64).cbrt().ceil() as usize;
    let mut random = Random::seeded(seed);
    let mut laws = Vec::new();
    let mut drawn = Vec::with_capacity(points.len() + length);
    for _ in 0..resamples {
        drawn.clear();
        while drawn.len() < points.len() {
            let start = random.below(points.len());
            drawn.extend((start..start + length).map(|at| points[at % points.len()]));
        }
        laws.extend(fit(&drawn));
    }
    let between = |of: &dyn Fn(&Law) -> f64| {
        let mut values: Vec<f64> = laws.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        (at(0.025), at(0.975))
    };
    (!laws.is_empty()).then(|| Intervals {
        lambda: between(&|law| law.lambda),
        sigma: between(&|law| law.sigma),
        kappa: between(&|law| law.kappa),
        limit: between(&|law| law.limit().map_or(f64::INFINITY, |limit| limit.throughput)),
    })
}

/// A figure (a percentile, an error rate) at a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Arrivals per second.
    pub rate: f64,
    pub value: f64,
    pub weight: f64,
}

/// The load at which a figure that grows with it passes a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crossing {
    At(f64),
    /// The limit is passed at the lowest load seen, which is given.
    Under(f64),
    /// The limit is not passed up to the highest load seen, which is given.
    Beyond(f64),
}

/// Makes the figure rise with the load (isotonic regression by pooling adjacent violators; Ayer et al., Annals of
/// Mathematical Statistics 26, 1955) and goes straight from one load to the next. `None` without loads.
pub fn crossing(loads: &[Load], limit: f64) -> Option<Crossing> {
    let mut sorted: Vec<Load> = loads.iter().copied().filter(|load| load.weight > 0.0).collect();
    sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let mut pooled: Vec<Load> = Vec::new();
    for load in &sorted {
        let mut load = *load;
        while let Some(before) = pooled.pop_if(|before| before.value >= load.value) {
            let weight = before.weight + load.weight;
            let mean = |a: f64, b: f64| (a * before.weight + b * load.weight) / weight;
            load = Load { rate: mean(before.rate, load.rate), value: mean(before.value, load.value), weight };
        }
        pooled.push(load);
    }
    let (first, last) = (sorted.first()?.rate, sorted.last()?.rate);
    let above = pooled.iter().position(|load| load.value > limit);
    Some(match above {
        None => Crossing::Beyond(last),
        Some(0) => Crossing::Under(first),
        Some(at) => {
            let (before, after) = (pooled[at - 1], pooled[at]);
            let share = (limit - before.value) / (after.value - before.value);
            Crossing::At(before.rate + share * (after.rate - before.rate))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(law: Law, most: usize, noise: f64) -> Vec<Point> {
        let mut random = Random::seeded(3);
        let point = |n: usize| {
            let concurrency = n as f64;
            let throughput = law.throughput(concurrency) * (1.0 + noise * (random.unit() - 0.5));
            Point { concurrency, throughput, weight: throughput }
        };
        (1..=most).map(point).collect()
    }

    fn close(found: f64, truth: f64, part: f64) -> bool {
        (found - truth).abs() <= part * truth.abs().max(1e-9)
    }

    #[test]
    fn a_curve_gives_its_parameters_back() {
        for law in [
            Law { lambda: 995.6, sigma: 0.0267, kappa: 0.000_769 },
            Law { lambda: 40.0, sigma: 0.2, kappa: 0.0 },
            Law { lambda: 7.0, sigma: 0.0, kappa: 0.01 },
            Law { lambda: 12.0, sigma: 0.0, kappa: 0.0 },
        ] {
            let found = fit(&curve(law, 40, 0.0)).expect("a fit");
            assert!(close(found.lambda, law.lambda, 1e-6), "{found:?} for {law:?}");
            assert!((found.sigma - law.sigma).abs() < 1e-6 && (found.kappa - law.kappa).abs() < 1e-8, "{found:?}");
        }
    }

    #[test]
    fn noise_moves_the_limit_little_and_the_interval_holds_it() {
        let law = Law { lambda: 100.0, sigma: 0.05, kappa: 0.001 };
        let truth = law.limit().expect("a limit");
        let points = curve(law, 60, 0.1);
        let found = fit(&points).expect("a fit").limit().expect("a limit");
        assert!(close(found.throughput, truth.throughput, 0.03), "{found:?} for {truth:?}");
        let (low, high) = intervals(&points, 200, 1).expect("intervals").limit;
        assert!(
            low < truth.throughput && truth.throughput < high && high - low < 0.1 * truth.throughput,
            "{low} {high}"
        );
    }

    #[test]
    fn a_few_stalls_do_not_bend_the_curve() {
        let law = Law { lambda: 100.0, sigma: 0.05, kappa: 0.001 };
        let mut points = curve(law, 60, 0.02);
        points.iter_mut().step_by(12).for_each(|p| p.throughput *= 0.2);
        let (found, truth) = (fit(&points).expect("a fit"), law.limit().expect("a limit"));
        assert!(close(found.limit().expect("a limit").throughput, truth.throughput, 0.05), "{found:?}");
    }

    #[test]
    fn limits_and_knees_are_those_of_the_formulas() {
        let law = Law { lambda: 10.0, sigma: 0.1, kappa: 0.009 };
        let limit = law.limit().expect("a limit");
        // sqrt(0.9 / 0.009) = 10; 100 / (1 + 0.9 + 0.81) = 36.9.
        assert!(close(limit.concurrency.expect("a peak"), 10.0, 1e-9) && close(limit.throughput, 100.0 / 2.71, 1e-9));
        assert!(close(law.knee().expect("a knee"), 10.0 / 2.71, 1e-9));
        let serial = Law { lambda: 10.0, sigma: 0.25, kappa: 0.0 };
        assert_eq!(serial.limit(), Some(Limit { throughput: 40.0, concurrency: None }));
        assert_eq!(Law { lambda: 10.0, sigma: 0.0, kappa: 0.0 }.limit(), None);
    }

    #[test]
    fn a_single_server_queue_is_limited_by_its_service_rate() {
        // M/M/1 with 50 services per second: N = ρ / (1 − ρ), so N / X = (1 + N) / 50.
        let point = |load: usize| {
            let throughput = load as f64;
            let busy = throughput / 50.0;
            Point { concurrency: busy / (1.0 - busy), throughput, weight: throughput }
        };
        let points: Vec<Point> = (2..=46).step_by(2).map(point).collect();
        let limit = fit(&points).expect("a fit").limit().expect("a limit");
        assert!(close(limit.throughput, 50.0, 1e-6), "{limit:?}");
    }

    #[test]
    fn the_load_at_a_limit_is_read_from_a_rising_line() {
        let load = |rate: f64, value: f64| Load { rate, value, weight: 1.0 };
        let loads = [load(30.0, 100.0), load(10.0, 12.0), load(20.0, 8.0), load(40.0, 300.0)];
        // 10 and 20 pool to (15, 10).
        assert_eq!(crossing(&loads, 55.0), Some(Crossing::At(22.5)));
        assert_eq!(crossing(&loads, 200.0), Some(Crossing::At(35.0)));
        assert_eq!(crossing(&loads, 5.0), Some(Crossing::Under(10.0)));
        assert_eq!(crossing(&loads, 300.0), Some(Crossing::Beyond(40.0)));
        assert_eq!(crossing(&[], 1.0), None);
    }

    #[test]
    fn too_little_is_no_law() {
        let point = Point { concurrency: 1.0, throughput: 10.0, weight: 1.0 };
        assert_eq!(fit(&[point, point]), None);
        assert_eq!(intervals(&[], 10, 1), None);
    }
}
