//! What may be chance: tail probabilities, intervals of proportions, false-discovery control, and the block bootstrap.
//!
//! Pure functions of their arguments; chance comes in as a seed, so that the same question has the same answer.

/// A small generator for resampling, SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`; the bias of the multiplication is below 2^-32 for the sizes used here.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// P(Z > z) of the standard normal distribution. Relative error below 1e-9 up to z = 35.
pub fn normal_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - normal_tail(-z);
    }
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z < 3.0 {
        // Φ(z) - 1/2 = φ(z) (z + z³/3 + z⁵/(3·5) + …)
        let (mut term, mut sum, mut odd) = (z, z, 3.0);
        while term > 1e-17 * sum {
            term *= z * z / odd;
            sum += term;
            odd += 2.0;
        }
        return 0.5 - density * sum;
    }
    // Laplace's continued fraction φ(z) / (z + 1/(z + 2/(z + 3/…))), evaluated from the far end.
    let fraction = (1..=60).rev().fold(z, |rest, k| z + f64::from(k) / rest);
    density / fraction
}

/// P(T > t) of Student's distribution with `df` degrees of freedom, through Wallace's normalising
/// transformation (Annals of Mathematical Statistics 30, 1959); within 0.002 of the exact value for df >= 3.
pub fn student_tail(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 0.0 } else { 1.0 };
    }
    let z = (df * (t * t / df).ln_1p()).sqrt() * (8.0 * df + 1.0) / (8.0 * df + 3.0);
    normal_tail(z.copysign(t))
}

/// The z of a two-sided 95 % interval.
pub const Z95: f64 = 1.959_963_984_540_054;

/// Wilson's score interval of a proportion (Journal of the American Statistical Association 22, 1927).
pub fn wilson(hits: u64, n: u64, z: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    wilson_of(hits as f64 / n as f64, n as f64, z)
}

/// The same of a share `p` of `n` trials, which need not be a whole number.
fn wilson_of(p: f64, n: f64, z: f64) -> (f64, f64) {
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

/// Interval of the difference of two proportions, `a - b`, from their Wilson intervals (Newcombe, Statistics in
/// Medicine 17, 1998, method 10).
pub fn newcombe((hits_a, n_a): (u64, u64), (hits_b, n_b): (u64, u64), z: f64) -> (f64, f64) {
    if n_a == 0 || n_b == 0 {
        return (-1.0, 1.0);
    }
    newcombe_of((hits_a as f64 / n_a as f64, n_a as f64), (hits_b as f64 / n_b as f64, n_b as f64), z)
}

/// The same of shares, each of so many trials, which need not be whole numbers.
pub fn newcombe_of((a, n_a): (f64, f64), (b, n_b): (f64, f64), z: f64) -> (f64, f64) {
    let ((low_a, high_a), (low_b, high_b)) = (wilson_of(a, n_a, z), wilson_of(b, n_b, z));
    (a - b - (a - low_a).hypot(high_b - b), a - b + (high_a - a).hypot(b - low_b))
}

/// The median, the mean of the two in the middle where their number is even; `None` of nothing. Sorts the values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}

/// Turns p-values into q-values: reporting all with `q <= x` keeps the expected share of false ones at most `x`
/// (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995). NaN counts as 1.
pub fn false_discovery_rates(p: &[f64]) -> Vec<f64> {
    let clean = |i: usize| if p[i].is_nan() { 1.0 } else { p[i] };
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_unstable_by(|&a, &b| clean(b).total_cmp(&clean(a)));
    let mut q = vec![1.0; p.len()];
    let mut smallest: f64 = 1.0;
    for (from_top, &i) in order.iter().enumerate() {
        let rank = p.len() - from_top;
        smallest = smallest.min(clean(i) * p.len() as f64 / rank as f64);
        q[i] = smallest;
    }
    q
}

/// Of p-values up to this nothing but their size among themselves is asked.
const CONDITION: f64 = 0.5;
/// So much surer has to be what is found among those alone: 1 in 100 where 5 are allowed.
const STRICTER: f64 = 5.0;

/// The q-values of rises that have to be larger than some least one. Where little rises at all, nearly all p-values are near 1,
/// and to count all of them would take every rise for one of hundreds. So they are conditioned on being at most 1/2, which is
/// right for such tests: the others are left out, and the rest is doubled (Ellis, Pecanka and Goeman, Journal of the Royal
/// Statistical Society B 82, 2020). What rises by just the least is no longer one of hundreds then, so more is asked of it.
pub fn false_discovery_rates_of_rises(p: &[f64]) -> Vec<f64> {
    let mut rates = false_discovery_rates(p);
    let among: Vec<usize> = (0..p.len()).filter(|&i| p[i] <= CONDITION).collect();
    let doubled: Vec<f64> = among.iter().map(|&i| p[i] / CONDITION).collect();
    for (&i, rate) in among.iter().zip(false_discovery_rates(&doubled)) {
        rates[i] = rates[i].min(STRICTER * rate);
    }
    rates
}

/// An estimate with what is known of its error.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// Square of the standard error.
    pub variance: f64,
    /// Degrees of freedom of `variance`.
    pub df: f64,
}

impl Estimate {
    /// Probability of so large a rise from `before` to `self` if the truth were a rise of `least` or less
    /// (Welch's test, Biometrika 34, 1947). Without any spread at all the answer is 0 or 1, and 1 where it is not known.
    pub fn p_of_rise(&self, before: &Estimate, least: f64) -> f64 {
        let change = self.since(before);
        let rise = change.value - least;
        if !change.variance.is_finite() {
            return 1.0;
        }
        if change.variance <= 0.0 {
            return if rise > 0.0 { 0.0 } else { 1.0 };
        }
        student_tail(rise / change.variance.sqrt(), change.df)
    }

    /// The change from `before` to `self`, with Welch's degrees of freedom.
    pub fn since(&self, before: &Estimate) -> Estimate {
        let variance = self.variance + before.variance;
        let part = |e: &Estimate| e.variance * e.variance / e.df.max(1.0);
        let df = match variance > 0.0 {
            true if variance.is_finite() => variance * variance / (part(self) + part(before)),
            true => 1.0,
            false => f64::INFINITY,
        };
        Estimate { value: self.value - before.value, variance, df }
    }

    /// The estimate with the spread that the longer series of `usual` shows, where that is more. Of few blocks chance may make
    /// the spread next to nothing, which is why they prove so little; where it is taken to be at least the usual one, that it is
    /// small by chance need not be feared, and it is as well known. `n` are the numbers of what the two are means of.
    pub fn steadied_by(&self, usual: &Estimate, n: [f64; 2]) -> Estimate {
        let spread = usual.variance * n[1] / n[0];
        let are_known = self.variance.is_finite() && spread.is_finite();
        if self.df >= usual.df || !are_known || spread <= 0.0 {
            return *self;
        }
        Estimate { variance: self.variance.max(spread), df: usual.df, ..*self }
    }

    /// The two-sided 95 % interval, with Student's quantile by its Cornish-Fisher expansion (Abramowitz and Stegun,
    /// Handbook of Mathematical Functions, 26.7.5); within 1 % for `df` >= 3.
    pub fn interval(&self) -> (f64, f64) {
        let (z, df) = (Z95, self.df.max(1.0));
        let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
        let t = z
            + (z3 + z) / (4.0 * df)
            + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * df.powi(2))
            + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * df.powi(3));
        let half = t * self.variance.sqrt();
        (self.value - half, self.value + half)
    }
}

/// Bins that [`mean_of_bins`] takes together as one observation, since neighbours resemble each other.
const BLOCK: usize = 3;
/// Blocks of which [`mean_of_queueing_bins`] makes a series, if they are not shorter than the others' then.
const LONG_BLOCKS: usize = 10;

/// The mean of what occurs in bins of sum and number: a ratio of sums; its variance by linearisation over blocks of
/// bins (Cochran, Sampling Techniques, 1977, 6.4). `None` where nothing occurs.
pub fn mean_of_bins(bins: &[(f64, f64)]) -> Option<Estimate> {
    mean_of_blocks(bins, BLOCK)
}

/// The same for times that hold waits: a queue that is nearly full stays long for many bins once chance has filled it, so
/// that only long blocks are independent (batch means: Law, Simulation Modeling and Analysis, 2015, 9.5.3).
pub fn mean_of_queueing_bins(bins: &[(f64, f64)]) -> Option<Estimate> {
    mean_of_blocks(bins, (bins.len() / LONG_BLOCKS).max(BLOCK))
}

fn mean_of_blocks(bins: &[(f64, f64)], length: usize) -> Option<Estimate> {
    let add = |(t, n): (f64, f64), bin: &(f64, f64)| (t + bin.0, n + bin.1);
    let blocks: Vec<(f64, f64)> =
        bins.chunks(length).map(|block| block.iter().fold((0.0, 0.0), add)).filter(|&(_, n)| n > 0.0).collect();
    let (sum, number) = blocks.iter().fold((0.0, 0.0), add);
    if number <= 0.0 {
        return None;
    }
    let value = sum / number;
    let squares: f64 = blocks.iter().map(|(t, n)| (t - value * n).powi(2)).sum();
    let m = blocks.len() as f64;
    // Two blocks or fewer say nothing about the spread.
    let variance = if m > 2.0 { squares / (number * number) * m / (m - 1.0) } else { f64::INFINITY };
    Some(Estimate { value, variance, df: (m - 1.0).max(1.0) })
}

/// Draws time series again in blocks of neighbouring bins, since what happens in one second goes on in the next.
/// Circular, so that every bin is equally likely (Politis and Romano, in Exploring the Limits of Bootstrap, 1992).
#[derive(Debug, Clone)]
pub struct BlockBootstrap {
    bins: usize,
    length: usize,
    seed: u64,
    resamples: usize,
}

impl BlockBootstrap {
    /// Blocks grow with the cube root of the series (Künsch, Annals of Statistics 17, 1989), from three bins on.
    pub fn new(bins: usize, resamples: usize, seed: u64) -> Self {
        let length = (bins as f64).cbrt().ceil().max(3.0) as usize;
        BlockBootstrap { bins, length: length.clamp(1, bins.max(1)), seed, resamples }
    }

    /// How many independent pieces the series has.
    fn blocks(&self) -> usize {
        self.bins.div_ceil(self.length)
    }

    /// Variances of statistics computed from column sums; infinite where there are too few bins to know them.
    ///
    /// `rows` holds one row of `width` numbers per bin. `statistic` turns the column sums of a resample into `out`
    /// numbers; it is called once per resample, and NaN results count as missing. Answers the variances, corrected
    /// for the small number of blocks, and their degrees of freedom.
    pub fn variances(
        &self,
        rows: &[f64],
        width: usize,
        out: usize,
        mut statistic: impl FnMut(&[f64], &mut [f64]),
    ) -> (Vec<f64>, f64) {
        let mut moments = vec![Moments::default(); out];
        if self.bins == 0 || width == 0 {
            return (vec![0.0; out], 1.0);
        }
        // Of one block every resample is the same, which says nothing of the spread.
        if self.blocks() < 2 {
            return (vec![f64::INFINITY; out], 1.0);
        }
        let sums = self.block_sums(rows, width);
        let mut random = Random::seeded(self.seed);
        let (mut drawn, mut values) = (vec![0.0; width], vec![0.0; out]);
        for _ in 0..self.resamples {
            drawn.fill(0.0);
            for _ in 0..self.blocks() {
                let block = random.below(self.bins) * width;
                for (total, &more) in drawn.iter_mut().zip(&sums[block..block + width]) {
                    *total += more;
                }
            }
            values.fill(0.0);
            statistic(&drawn, &mut values);
            for (moment, &value) in moments.iter_mut().zip(&values) {
                moment.add(value);
            }
        }
        let blocks = self.blocks() as f64;
        let correction = blocks / (blocks - 1.0).max(1.0);
        (moments.iter().map(|m| m.variance() * correction).collect(), (blocks - 1.0).max(1.0))
    }

    /// The sums of the blocks that start at each bin, by a running sum per column.
    fn block_sums(&self, rows: &[f64], width: usize) -> Vec<f64> {
        let mut sums = vec![0.0; self.bins * width];
        for start in 0..self.bins {
            let into = &mut sums[start * width..(start + 1) * width];
            for bin in (start..start + self.length).map(|bin| bin % self.bins) {
                for (total, &more) in into.iter_mut().zip(&rows[bin * width..(bin + 1) * width]) {
                    *total += more;
                }
            }
        }
        sums
    }
}

/// Running mean and squared distance (Welford, Technometrics 4, 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.n += 1.0;
            let from_mean = value - self.mean;
            self.mean += from_mean / self.n;
            self.squares += from_mean * (value - self.mean);
        }
    }

    fn variance(&self) -> f64 {
        if self.n < 2.0 { 0.0 } else { self.squares / (self.n - 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not near {b}");
    }

    /// Values of the standard tables.
    #[test]
    fn normal_tails_are_those_of_the_tables() {
        near(normal_tail(0.0), 0.5, 1e-12);
        near(normal_tail(1.0), 0.158_655_253_931_457_05, 1e-12);
        near(normal_tail(-1.959_963_984_540_054), 0.975, 1e-12);
        near(normal_tail(3.0) / 1.349_898_031_630_094_6e-3, 1.0, 1e-9);
        near(normal_tail(6.0) / 9.865_876_450_376_946e-10, 1.0, 1e-9);
    }

    #[test]
    fn student_tails_are_those_of_the_tables() {
        for (t, df, tail) in [(2.015, 5.0, 0.05), (2.764, 10.0, 0.01), (4.587, 10.0, 0.0005), (1.697, 30.0, 0.05)] {
            near(student_tail(t, df), tail, 0.0005);
            near(student_tail(-t, df), 1.0 - tail, 0.0005);
        }
    }

    /// Newcombe 1998, table II: 56/70 against 48/80 gives 0.0524 to 0.3339; 9/10 against 3/10 gives 0.1705 to 0.8090.
    #[test]
    fn intervals_of_differences_are_those_of_the_paper() {
        for (a, b, low, high) in [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)] {
            let (l, h) = newcombe(a, b, Z95);
            near(l, low, 0.0001);
            near(h, high, 0.0001);
        }
        assert_eq!(newcombe((0, 0), (1, 2), Z95), (-1.0, 1.0));
    }

    #[test]
    fn q_values_worked_out_by_hand() {
        // 0.01·4/1, 0.02·4/2, 0.03·4/3, 0.5·4/4: the first three tie at 0.04.
        let q = false_discovery_rates(&[0.02, 0.5, 0.01, 0.03]);
        for (found, expected) in q.iter().zip([0.04, 0.5, 0.04, 0.04]) {
            near(*found, expected, 1e-12);
        }
        assert_eq!(false_discovery_rates(&[f64::NAN]), [1.0]);
    }

    #[test]
    fn what_does_not_rise_does_not_hide_what_does() {
        let mut p = vec![0.99; 200];
        p[..3].copy_from_slice(&[0.0008, 0.3, 0.002]);
        let rates = false_discovery_rates_of_rises(&p);
        // Among three: 5 × 0.0016 · 3/1 and 5 × 0.004 · 3/2; among all 203 / 1 times as much.
        near(rates[0], 5.0 * 0.0048, 1e-12);
        near(rates[2], 5.0 * 0.006, 1e-12);
        near(rates[1], 0.99, 1e-12);
        // Of ten that all rise, the count of all of them is the better one.
        let rates = false_discovery_rates_of_rises(&[0.01; 10]);
        assert!(rates.iter().all(|rate| (rate - 0.01).abs() < 1e-12), "{rates:?}");
        assert_eq!(false_discovery_rates_of_rises(&[f64::NAN, 0.6]), [1.0, 1.0]);
    }

    /// Of hundreds of systems in which one thing rises by just what is allowed, and nothing else, about 1 in 100 is said to
    /// rise more.
    #[test]
    fn a_rise_of_just_the_least_is_seldom_taken_for_more() {
        let mut random = Random::seeded(9);
        let mut said = |_: &usize| {
            let mut p = vec![1.0; 50];
            p[7] = random.unit();
            false_discovery_rates_of_rises(&p)[7] <= 0.05
        };
        let said = (0..20_000).filter(|n| said(n)).count();
        assert!((60..=140).contains(&said), "{said}");
    }

    #[test]
    fn the_bootstrap_finds_the_variance_of_a_mean() {
        // 400 independent uniform numbers: the mean's variance is 1/12/400.
        let mut random = Random::seeded(7);
        let rows: Vec<f64> = (0..400).map(|_| random.unit()).collect();
        let bootstrap = BlockBootstrap::new(400, 4000, 1);
        let (variances, df) = bootstrap.variances(&rows, 1, 1, |sums, out| out[0] = sums[0] / 400.0);
        near(variances[0] / (1.0 / 12.0 / 400.0), 1.0, 0.3);
        assert_eq!(df, 49.0);
    }

    #[test]
    fn of_one_block_the_spread_is_not_known() {
        let rows = [1.0, 5.0, 2.0];
        let (variances, _) = BlockBootstrap::new(3, 100, 1).variances(&rows, 1, 1, |sums, out| out[0] = sums[0]);
        assert_eq!(variances, [f64::INFINITY]);
        let unknown = Estimate { value: 8.0, variance: variances[0], df: 1.0 };
        let before = Estimate { value: 1.0, variance: 0.1, df: 9.0 };
        assert_eq!(unknown.p_of_rise(&before, 1.0), 1.0);
        assert_eq!(unknown.since(&before).interval(), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn the_same_seed_gives_the_same_answer() {
        let rows = [1.0, 5.0, 2.0, 8.0, 3.0];
        let run = |seed| BlockBootstrap::new(5, 50, seed).variances(&rows, 1, 1, |s, o| o[0] = s[0]).0;
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    /// Of 2,000 comparisons of equal things about 5 % may seem to have risen at p <= 0.05.
    #[test]
    fn rises_of_nothing_are_as_rare_as_promised() {
        let mut random = Random::seeded(11);
        let mut mean = || {
            let values: Vec<f64> = (0..12).map(|_| (0..6).map(|_| random.unit()).sum::<f64>()).collect();
            let mean = values.iter().sum::<f64>() / 12.0;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            Estimate { value: mean, variance: squares / 11.0 / 12.0, df: 11.0 }
        };
        let seeming = (0..2000).filter(|_| mean().p_of_rise(&mean(), 0.0) <= 0.05).count();
        assert!((60..140).contains(&seeming), "{seeming}");
    }

    #[test]
    fn a_short_series_has_the_spread_of_the_long_one_at_least() {
        let long = Estimate { value: 10.0, variance: 1.0, df: 15.0 };
        let short = |variance: f64| Estimate { value: 12.0, variance, df: 2.0 };
        // A mean of 600 where the other is of 300 has half its variance.
        assert_eq!(short(0.01).steadied_by(&long, [600.0, 300.0]), Estimate { df: 15.0, ..short(0.5) });
        assert_eq!(short(3.0).steadied_by(&long, [600.0, 300.0]), Estimate { df: 15.0, ..short(3.0) });
        // Of what does not vary in the long series nothing is known, nor of a single block.
        assert_eq!(short(0.01).steadied_by(&Estimate { variance: 0.0, ..long }, [600.0, 300.0]), short(0.01));
        assert_eq!(short(f64::INFINITY).steadied_by(&long, [600.0, 300.0]), short(f64::INFINITY));
        assert_eq!(long.steadied_by(&short(0.5), [300.0, 600.0]), long, "the longer one stays as it is");
    }

    /// Of 4,000 comparisons of three blocks with fifteen about 5 % may seem to have risen at p <= 0.05; also where the three
    /// vary twice as much.
    #[test]
    fn rises_of_nothing_in_a_short_series_are_rare() {
        let mut random = Random::seeded(5);
        let mut mean = |blocks: usize, wide: f64| {
            let values: Vec<f64> =
                (0..blocks).map(|_| wide * (0..6).map(|_| random.unit() - 0.5).sum::<f64>()).collect();
            let n = blocks as f64;
            let mean = values.iter().sum::<f64>() / n;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            Estimate { value: mean, variance: squares / (n - 1.0) / n, df: n - 1.0 }
        };
        for (wide, most) in [(1.0, 200), (2.0, 400)] {
            let mut seems = || {
                let (before, after) = (mean(15, 1.0), mean(3, wide));
                after.steadied_by(&before, [3.0, 15.0]).p_of_rise(&before, 0.0) <= 0.05
            };
            let seeming = (0..4_000).filter(|_| seems()).count();
            assert!((20..=most).contains(&seeming), "{seeming} at {wide}");
        }
    }

    /// Quantiles of the standard tables.
    #[test]
    fn intervals_are_as_wide_as_student_says() {
        for (df, exact) in [(3.0, 3.182), (5.0, 2.571), (10.0, 2.228), (30.0, 2.042), (f64::INFINITY, 1.960)] {
            let (low, high) = Estimate { value: 7.0, variance: 4.0, df }.interval();
            assert!(((high - 7.0) / 2.0 / exact - 1.0).abs() < 0.011, "{df}: {high} for {exact}");
            assert!((high + low - 14.0).abs() < 1e-9);
        }
    }
}
