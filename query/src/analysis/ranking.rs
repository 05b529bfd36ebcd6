//! The hot spots: which operation limits the system, how sure that is, and what kind of problem it is.
//!
//! ```text
//! Observed ─cube─▶ dense bins ─┬─verdict────▶ did any entry operation get worse?
//!                              └─rates──▶ per request, with errors ─blame─▶ suspects ─category, instance─▶
//!                                            └─behaviour─▶ errors, calls      cascade ─▶ order ─explain─▶ Ranking
//!          └─waits, piled──▶ messages that wait longer, which no request feels ────────────────┘
//! ```
//!
//! Pure: SQL gathers [`Observed`] and perhaps facts, this ranks. With a baseline the ranking is by the rise of
//! exclusive critical-path time per request, stratified by entry operation; without one by its share of the latency.
//! The same input and seed always give the same answer. `shared/interface.md`, "Words", defines the terms.

mod behaviour;
mod blame;
mod calls;
mod cascade;
mod category;
mod cube;
mod explain;
mod facts;
mod instance;
mod logged;
mod own_side;
mod piled;
mod pressed;
mod rates;
mod seldom;
#[cfg(test)]
mod tests;
mod verdict;
mod waits;

use serde::Serialize;

use super::sentence::Sentence;
use super::vitals::Vital;

pub use category::Category;
pub use cube::{
    CellStat, Exhausted, LineStat, Observed, Operation, OperationKey, Peer, PeerKind, Piled, Place, RequestStat,
    Statement, WaitStat,
};
pub(crate) use explain::duration;
pub use facts::{Details, FactBook, Facts};
pub use logged::LogSign;
pub use verdict::{EntryChange, Measure, Needed, Verdict};

use behaviour::Change;
use blame::{Compared, Suspect, Via};
use calls::Calls;
use category::Judge;
use cube::Cube;
use explain::{Story, explain, explain_waiting};
use logged::{LineChange, line_changes, signs};
use pressed::{Pressed, paused_calls, pressed};
use rates::{Rates, mix, rates, steadied};
use waits::Lagging;

/// A rise smaller than this part of the largest one is not worth a line.
const LEAST_OF_MOST: f64 = 0.03;

/// What counts as worse, and how much work goes into being sure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// A latency is materially worse when it rose by this part of the baseline's and by `least_ns`. Larger: fewer
    /// small problems are reported.
    pub least_ratio: f64,
    pub least_ns: f64,
    /// An error rate is materially worse when it rose by `least_ratio` and by this many errors per request.
    pub least_errors: f64,
    /// What is reported as changed is so with this confidence.
    pub confidence: f64,
    /// Requests that a side, or an entry on both sides, needs to be compared at all.
    pub least_requests: f64,
    /// Resamples of the bootstrap; 500 know a standard error to 3 %.
    pub resamples: usize,
    pub seed: u64,
    /// Most hot spots in the answer.
    pub limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            least_ratio: 0.2,
            least_ns: 2e6,
            least_errors: 0.005,
            confidence: 0.95,
            least_requests: 12.0,
            resamples: 500,
            seed: 1,
            limit: 10,
        }
    }
}

impl Settings {
    fn material_latency(&self, before: f64) -> f64 {
        (self.least_ratio * before).max(self.least_ns)
    }

    fn material_errors(&self, before: f64) -> f64 {
        (self.least_ratio * before).max(self.least_errors)
    }

    /// No statement from a few dozen bins is surer than this.
    fn surest(&self) -> f64 {
        0.9999
    }
}

/// The answer, without the times of the window, which the caller knows.
#[derive(Debug, Clone, Serialize)]
pub struct Ranking {
    pub verdict: Verdict,
    pub window_requests: u64,
    pub baseline_requests: Option<u64>,
    /// The entry operations that got worse, the surest first: the evidence for the verdict.
    pub worse: Vec<EntryChange>,
    /// With [`Verdict::NotEnoughData`] and a baseline: what would be.
    #[serde(skip)]
    pub needed: Option<Needed>,
    pub hotspots: Vec<Hotspot>,
}

impl Ranking {
    /// What is needed, in words.
    pub fn needed_text(&self) -> Option<Sentence> {
        self.needed.as_ref().map(explain::explain_needed)
    }
}

/// One element of `hotspots` in `GET /api/v1/hotspots`.
#[derive(Debug, Clone, Serialize)]
pub struct Hotspot {
    pub rank: usize,
    pub service: String,
    pub operation: String,
    pub span_kind: &'static str,
    pub category: Category,
    pub peer: Option<String>,
    pub instance: Option<String>,
    /// Filled by the comparison of attributes.
    pub attribute: Option<Attribute>,
    pub critical_path_ns_per_request: i64,
    pub share_of_latency: f64,
    pub change_ns_per_request: Option<i64>,
    /// The 95 % interval of `change_ns_per_request`.
    pub interval_ns: Option<[i64; 2]>,
    pub confidence: Option<f64>,
    /// The time is waited where no request waits for it: before a consumer takes a message.
    pub off_path: bool,
    /// Entry operations whose requests meet the hot spot, the most affected first.
    pub callers: Vec<Place>,
    /// Operations that got slower only because of this one, the most affected first. They have no rank of their own.
    pub victims: Vec<Place>,
    pub explanation: Sentence,
    /// What metrics say, filled by whoever can look them up.
    pub vitals: Vec<Vital>,
    /// What the service's log says differently than in the baseline, the surest first.
    pub logs: Vec<LogSign>,
    /// Filled by whoever can look up traces.
    pub exemplars: Vec<String>,
    /// The operation whose spans hold the time: itself, or the caller's CLIENT operation where the time is a gap
    /// between the two. Example traces are those in which these spans take long.
    #[serde(skip)]
    pub evidence: Operation,
}

impl Hotspot {
    /// Names the attribute value, or the instance, to which it is confined, in its sentence too.
    pub fn confine(&mut self, to: Attribute) {
        explain::explain_confined(&mut self.explanation, &to, self.category == Category::Error);
        match to.key.as_str() {
            "instance" => self.instance = Some(to.value),
            _ => self.attribute = Some(to),
        }
    }
}

/// A value to which a hot spot is confined.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribute {
    pub key: String,
    pub value: String,
    /// Of the slow (or failed) spans that have it, and of the others.
    pub share: f64,
    pub share_of_others: f64,
}

/// Ranks the hot spots of `window`, against `baseline` where there is one.
pub fn rank(window: &Observed, baseline: Option<&Observed>, facts: &FactBook, settings: &Settings) -> Ranking {
    let cube = Cube::new(window, baseline);
    let calls = Calls::new(&cube, facts);
    let mut lagging = baseline.map_or_else(Vec::new, |baseline| waits::lagging(window, baseline, settings));
    lagging.extend(piled::behind(&cube, window, &lagging, settings));
    let lines = baseline.map_or_else(Vec::new, |baseline| line_changes(&cube, window, baseline, settings));
    Ranker { cube: &cube, calls: &calls, facts, lagging, lines, exhausted: &window.exhausted, settings }.rank()
}

struct Ranker<'a> {
    cube: &'a Cube,
    calls: &'a Calls,
    facts: &'a FactBook,
    lagging: Vec<Lagging>,
    lines: Vec<LineChange>,
    exhausted: &'a [Exhausted],
    settings: &'a Settings,
}

/// A suspect as far as it has been judged.
struct Judged {
    suspect: Suspect,
    category: Category,
    instance: Option<usize>,
}

impl Ranker<'_> {
    fn rank(&self) -> Ranking {
        let (cube, settings) = (self.cube, self.settings);
        let enough = |requests: f64| requests >= settings.least_requests;
        let baseline = cube.baseline.as_ref().filter(|side| enough(side.requests()));
        let full_mix = mix(cube, None, 0.0);
        let whole = rates(cube, &cube.window, &full_mix, 0, 0);
        let mut ranking = Ranking {
            verdict: Verdict::NotEnoughData,
            window_requests: cube.window.requests() as u64,
            baseline_requests: cube.baseline.as_ref().map(|side| side.requests() as u64),
            worse: Vec::new(),
            needed: cube.baseline.as_ref().map(|_| verdict::least_needed(settings)),
            hotspots: Vec::new(),
        };
        let common = mix(cube, baseline, settings.least_requests);
        let Some(baseline) = baseline.filter(|_| enough(cube.window.requests()) && common.iter().any(|&m| m > 0.0))
        else {
            ranking.hotspots = self.numbered(self.by_share(self.suspects(&whole, None), &whole));
            return ranking;
        };
        let requests = cube.window.requests();
        let before = rates(cube, baseline, &common, settings.resamples, settings.seed ^ 1);
        let after = rates(cube, &cube.window, &common, settings.resamples, settings.seed);
        let after = steadied(after, &before, [requests, baseline.requests()]);
        let changes = behaviour::changes(self.calls, &self.lines, (&after, &before), requests, settings);
        let entries = verdict::entries(cube, baseline, &common, settings);
        (ranking.worse, ranking.needed) = (entries.worse, None);
        let slower = ranking.worse.iter().any(|change| change.measure != Measure::ErrorRate);
        let paused = paused_calls(cube, self.facts, (&after, &before), self.exhausted);
        let compared = Compared { after: &after, before: &before, paused: &paused };
        let pressed = pressed(cube, self.calls, compared, self.exhausted, settings);
        let judged = self.suspects(&whole, Some(compared));
        let mut held_up = Vec::new();
        if !slower {
            ranking.worse.extend(pressed.iter().map(|pressed| self.slowed(pressed)));
            let found = seldom::held_up(cube, judged.iter().map(|judged| &judged.suspect), settings);
            for (number, change) in found {
                held_up.push(number);
                ranking.worse.push(change);
            }
        }
        let found = if slower || !pressed.is_empty() || !held_up.is_empty() {
            Verdict::Bottleneck
        } else if !ranking.worse.is_empty() || !changes.is_empty() {
            Verdict::BehaviourChanged
        } else if entries.undecided.is_some() {
            Verdict::NotEnoughData
        } else {
            Verdict::NoSignificantChange
        };
        let spots = match found {
            Verdict::Bottleneck => self.by_change(&judged, &whole, compared, &changes, (&pressed, &held_up)),
            Verdict::BehaviourChanged => changes.iter().map(|change| self.changed(change, &judged, &whole)).collect(),
            Verdict::NoSignificantChange | Verdict::NotEnoughData => self.by_share(judged, &whole),
        };
        // What requests feel comes first. Where they feel nothing, waiting messages are the bottleneck.
        let requests = ranking.window_requests.max(1) as f64;
        let waiting = self.lagging.iter().map(|lag| self.waiting(lag, requests));
        (ranking.verdict, ranking.hotspots) = match found {
            _ if self.lagging.is_empty() => (found, self.numbered(spots)),
            Verdict::Bottleneck => (found, self.numbered(spots.into_iter().chain(waiting).collect())),
            Verdict::BehaviourChanged => (Verdict::Bottleneck, self.numbered(waiting.chain(spots).collect())),
            Verdict::NoSignificantChange | Verdict::NotEnoughData => {
                (Verdict::Bottleneck, self.numbered(waiting.collect()))
            }
        };
        ranking.needed = entries.undecided.filter(|_| ranking.verdict == Verdict::NotEnoughData);
        ranking.worse.extend(self.lagging.iter().map(|lag| EntryChange {
            entry: lag.consumer.place(),
            measure: Measure::Wait,
            baseline: lag.before,
            window: lag.now.value,
            confidence: lag.confidence,
        }));
        ranking
    }

    fn suspects(&self, whole: &[Rates], compared: Option<Compared<'_>>) -> Vec<Judged> {
        let judge = Judge { cube: self.cube, calls: self.calls, facts: self.facts };
        let found = blame::suspects(self.cube, self.calls, self.facts, whole, compared, self.settings);
        let judged = found.into_iter().map(|suspect| {
            let category = judge.category(&suspect);
            let own = suspect.via == Via::Own && !matches!(category, Category::Retry | Category::NPlusOne);
            let rose = suspect.change.is_none_or(|change| change > 0.0);
            let instance = if own && rose { instance::confined_to(self.cube, suspect.operation) } else { None };
            Judged { category: if instance.is_some() { Category::Instance } else { category }, suspect, instance }
        });
        judged.collect()
    }

    /// Where the time goes, whether or not it changed.
    fn by_share(&self, mut judged: Vec<Judged>, whole: &[Rates]) -> Vec<Hotspot> {
        judged.sort_by(|a, b| b.suspect.critical.total_cmp(&a.suspect.critical));
        let spots = judged.iter().filter(|j| j.suspect.critical > 0.0).take(self.settings.limit);
        spots.map(|j| self.hotspot(j, whole, None)).collect()
    }

    fn slowed(&self, pressed: &Pressed) -> EntryChange {
        EntryChange {
            entry: self.cube.operations[pressed.slower].place(),
            measure: Measure::Mean,
            baseline: pressed.before,
            window: pressed.now,
            confidence: pressed.confidence,
        }
    }

    /// What got slower: first what is singled out, of services that ran out of a resource and of those among `judged` that
    /// hold up the few requests that reach them; causes before their shadows; then where errors began.
    fn by_change(
        &self,
        judged: &[Judged],
        whole: &[Rates],
        compared: Compared<'_>,
        changes: &[Change],
        (pressed, held_up): (&[Pressed], &[usize]),
    ) -> Vec<Hotspot> {
        let suspects: Vec<Suspect> = judged.iter().map(|j| j.suspect.clone()).collect();
        let categories: Vec<Category> = judged.iter().map(|j| j.category).collect();
        let cascade = cascade::cascade(self.cube, self.calls, compared.before, &suspects, &categories);
        let order = &cascade.order;
        let rose = |&&i: &&usize| suspects[i].change.is_some_and(|change| change > 0.0);
        let sure = |&&i: &&usize| suspects[i].confidence.is_some_and(|c| c >= self.settings.confidence);
        let most = suspects.iter().filter_map(|s| s.change).fold(0.0, f64::max);
        let counts = |&&i: &&usize| suspects[i].change.is_some_and(|change| change >= LEAST_OF_MOST * most);
        let mut shown: Vec<usize> = order.iter().filter(rose).filter(sure).filter(counts).copied().collect();
        if shown.is_empty() && pressed.is_empty() {
            // The rise is sure for the requests as a whole, though for no single operation.
            shown = order.iter().filter(rose).copied().collect();
        }
        // What the metrics single out needs no other proof than that its calls take longer.
        let leads = |&&i: &&usize| {
            let operation = suspects[i].operation;
            let of = pressed.iter().find(|pressed| pressed.service == self.calls.service(operation));
            of.map_or(held_up.contains(&i), |pressed| pressed.operation == operation || shown.contains(&i))
        };
        let leading: Vec<usize> = order.iter().filter(leads).copied().collect();
        shown.retain(|i| !leading.contains(i));
        shown.splice(0..0, leading);
        let victims: Vec<usize> =
            shown.iter().copied().filter(|&i| cascade.origin(i) != i && shown.contains(&cascade.origin(i))).collect();
        let spot = |&i: &usize| Hotspot {
            victims: self.places(victims.iter().filter(|&&victim| cascade.origin(victim) == i).map(|&v| &suspects[v])),
            ..self.hotspot(&judged[i], whole, None)
        };
        let mut spots: Vec<Hotspot> = shown.iter().filter(|i| !victims.contains(i)).map(spot).collect();
        let named: Vec<usize> = shown.iter().map(|&i| suspects[i].operation).collect();
        let errors = changes.iter().filter(|c| c.category == Category::Error && !named.contains(&c.operation));
        spots.extend(errors.map(|change| self.changed(change, judged, whole)));
        spots
    }

    fn places<'s>(&self, suspects: impl Iterator<Item = &'s Suspect>) -> Vec<Place> {
        suspects.map(|suspect| self.cube.operations[suspect.operation].place()).collect()
    }

    /// A consumer before which messages wait, by their wait per request.
    fn waiting(&self, lag: &Lagging, requests: f64) -> Hotspot {
        let messages_per_request = lag.messages as f64 / requests;
        let per_request = |ns: f64| (ns * messages_per_request).round() as i64;
        let (low, high) = lag.change.interval();
        Hotspot {
            rank: 0,
            service: lag.consumer.service.clone(),
            operation: lag.consumer.operation.clone(),
            span_kind: lag.consumer.kind.name(),
            category: Category::Messaging,
            peer: lag.topic.clone().or_else(|| lag.broker.clone()),
            instance: None,
            attribute: None,
            critical_path_ns_per_request: per_request(lag.now.value),
            share_of_latency: 0.0,
            change_ns_per_request: Some(per_request(lag.change.value)),
            interval_ns: Some([per_request(low), per_request(high)]),
            confidence: Some(lag.confidence),
            off_path: true,
            callers: lag.senders.iter().map(Operation::place).collect(),
            victims: Vec::new(),
            explanation: explain_waiting(lag),
            vitals: Vec::new(),
            logs: signs(self.cube, &self.lines, &lag.consumer.service),
            exemplars: Vec::new(),
            evidence: lag.consumer.clone(),
        }
    }

    fn numbered(&self, mut spots: Vec<Hotspot>) -> Vec<Hotspot> {
        spots.truncate(self.settings.limit);
        for (i, spot) in spots.iter_mut().enumerate() {
            spot.rank = i + 1;
        }
        spots
    }

    /// A behaviour change with the times of its operation.
    fn changed(&self, change: &Change, judged: &[Judged], whole: &[Rates]) -> Hotspot {
        let own = judged.iter().find(|j| j.suspect.operation == change.operation && j.suspect.via == Via::Own);
        let times = own.map_or((0.0, Some(0.0)), |j| (j.suspect.critical, j.suspect.change));
        let suspect = Suspect {
            operation: change.operation,
            via: Via::Own,
            holders: vec![change.operation],
            critical: times.0,
            change: times.1,
            rise: own.and_then(|j| j.suspect.rise),
            by_calls: 0.0,
            confidence: Some(change.confidence),
        };
        self.hotspot(&Judged { suspect, category: change.category, instance: None }, whole, Some(change))
    }

    fn hotspot(&self, judged: &Judged, whole: &[Rates], change: Option<&Change>) -> Hotspot {
        let Judged { suspect, category, instance } = judged;
        let operation = &self.cube.operations[suspect.operation];
        let all: f64 = whole.iter().map(|rates| rates.critical.value).sum();
        let share = if all > 0.0 { suspect.critical / all } else { 0.0 };
        let instance = instance.map(|i| self.cube.instances[i].as_str());
        let peer = operation.peer.as_ref().map(|peer| peer.name.as_str());
        let holder = suspect.holders.first().map_or(operation, |&holder| &self.cube.operations[holder]);
        let explanation = explain(&Story {
            category: *category,
            service: &operation.service,
            operation: &operation.operation,
            peer,
            instance,
            caller: (suspect.via == Via::Gap).then_some(holder.service.as_str()),
            critical: suspect.critical,
            change: suspect.change,
            share,
            counts: change.map(|c| (c.before, c.after)),
            call: change.and_then(|c| c.call).map(|call| self.cube.operations[call].operation.as_str()),
            line: change.and_then(|c| c.line.as_deref()),
            statement: self.facts.get(operation).and_then(|facts| facts.repeated_statement.as_deref()),
        });
        Hotspot {
            rank: 0,
            service: operation.service.clone(),
            operation: operation.operation.clone(),
            span_kind: operation.kind.name(),
            category: *category,
            peer: peer.map(str::to_owned),
            instance: instance.map(str::to_owned),
            attribute: None,
            critical_path_ns_per_request: suspect.critical.round() as i64,
            share_of_latency: share,
            change_ns_per_request: suspect.change.map(|change| change.round() as i64),
            interval_ns: suspect
                .rise
                .filter(|rise| rise.variance.is_finite())
                .map(|rise| rise.interval())
                .map(|(low, high)| [low as i64, high as i64]),
            confidence: suspect.confidence,
            off_path: false,
            callers: self.callers(suspect),
            victims: Vec::new(),
            explanation,
            vitals: Vec::new(),
            logs: signs(self.cube, &self.lines, &operation.service),
            exemplars: Vec::new(),
            evidence: holder.clone(),
        }
    }

    /// The entries through which the suspect's time came, by how much of it (or of its rise) is theirs.
    fn callers(&self, suspect: &Suspect) -> Vec<Place> {
        const MOST: usize = 5;
        let mut by_entry = vec![0.0; self.cube.entries.len()];
        for (number, column) in self.cube.columns.iter().enumerate() {
            if suspect.holders.contains(&column.operation) {
                let now = self.cube.window.totals[number].critical;
                let requests = |side: &cube::Side| side.requests[column.entry].total();
                let then =
                    self.cube.baseline.as_ref().filter(|side| requests(side) > 0.0).map_or(0.0, |side| {
                        side.totals[number].critical * requests(&self.cube.window) / requests(side)
                    });
                by_entry[column.entry] += now - then;
            }
        }
        let mut entries: Vec<usize> = (0..by_entry.len()).filter(|&entry| by_entry[entry] > 0.0).collect();
        entries.sort_by(|&a, &b| by_entry[b].total_cmp(&by_entry[a]));
        entries.into_iter().take(MOST).map(|entry| self.cube.entries[entry].clone()).collect()
    }
}
