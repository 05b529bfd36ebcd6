//! What a plan comes to on average for one customer request: how often operations and steps happen, and how long they
//! take when nobody waits. Faults are sized with it, and generated plans are.
//!
//! It follows every call from the entries on, so it ends only because no plan has a cycle.

use std::collections::{BTreeMap, BTreeSet};

use super::{ENTRANCE, Millis, Operation, Plan, Step, steps_in};

/// A message between two processes and its answer.
const ROUND_TRIP: Millis = 0.6;
/// How much later than the slowest branch a fork ends, as a part of the second slowest: times vary.
const FORK_SPREAD: f64 = 0.15;

/// Something that a request does on its way.
pub enum Use<'a> {
    /// It is served by the operation.
    Visit,
    Step(&'a Step),
}

/// What is told of a use: service and operation, what, and how often one customer request does it.
type Visit<'v> = dyn FnMut(&'static str, &'static str, &Use<'_>, f64) + 'v;

impl Plan {
    /// How often one customer request visits an operation, on average.
    pub fn visits(&self, service: &str, operation: &str) -> f64 {
        self.all_visits().get(&(service, operation)).copied().unwrap_or(0.0)
    }

    /// The same for all operations that are visited, by service and name.
    pub fn all_visits(&self) -> BTreeMap<(&'static str, &'static str), f64> {
        let mut visits = BTreeMap::new();
        self.each_use(&mut |service, operation, what, weight| {
            if matches!(what, Use::Visit) {
                *visits.entry((service, operation)).or_default() += weight;
            }
        });
        visits
    }

    /// How often one customer request makes a service do a step of this kind.
    pub fn uses(&self, service: &str, of_kind: &dyn Fn(&Step) -> bool) -> f64 {
        let mut uses = 0.0;
        self.each_use(&mut |by, _, what, weight| match what {
            Use::Step(step) if by == service && of_kind(step) => uses += weight,
            _ => {}
        });
        uses
    }

    /// Tells of everything that one customer request does.
    pub fn each_use(&self, visit: &mut Visit<'_>) {
        for (entry, share) in &self.entries {
            self.walk(ENTRANCE, entry, *share, visit);
        }
    }

    /// Whether a customer waits for an operation: calls lead to it, no topic lies between.
    pub fn is_waited_for(&self, service: &str, operation: &str) -> bool {
        let mut reached: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut open: Vec<(&str, &str)> = self.entries.iter().map(|(entry, _)| (ENTRANCE, *entry)).collect();
        while let Some(at) = open.pop() {
            if !reached.insert(at) {
                continue;
            }
            let steps = self.operation(at.0, at.1).map(|found| steps_in(&found.steps)).unwrap_or_default();
            open.extend(steps.into_iter().filter_map(|step| match step {
                Step::Call(call) => Some((call.service, call.operation)),
                _ => None,
            }));
        }
        reached.contains(&(service, operation))
    }

    /// Spans that one request by this entry makes, those behind topics included.
    pub fn spans_of_entry(&self, entry: &str) -> f64 {
        let mut spans = 0.0;
        self.walk(ENTRANCE, entry, 1.0, &mut |_, _, what, weight| spans += weight * f64::from(u8::from(is_span(what))));
        spans
    }

    /// Spans that one customer request makes.
    pub fn spans_per_request(&self) -> f64 {
        self.entries.iter().map(|(entry, share)| share * self.spans_of_entry(entry)).sum()
    }

    /// About how long an operation takes when nobody waits.
    pub fn unloaded_time(&self, service: &str, operation: &str) -> Millis {
        self.operation(service, operation).map_or(0.0, |found| self.time_of(&found.steps))
    }

    /// About how long steps take when nobody waits. A message between processes takes about 0.3 ms each way.
    pub fn time_of(&self, steps: &[Step]) -> Millis {
        steps.iter().map(|step| self.time_of_step(step)).sum()
    }

    fn time_of_step(&self, step: &Step) -> Millis {
        match step {
            Step::Compute(time) => *time,
            Step::Span { steps, .. } | Step::Transaction { steps, .. } | Step::RateLimit { steps, .. } => {
                self.time_of(steps)
            }
            Step::Query(query) => ROUND_TRIP + query.time,
            Step::Cache(cache) => ROUND_TRIP + cache.expired * self.time_of(&cache.miss),
            Step::Call(call) => ROUND_TRIP + self.unloaded_time(call.service, call.operation),
            Step::ThirdParty(call) => ROUND_TRIP + call.time,
            Step::Fork(branches) => {
                let mut times: Vec<Millis> = branches.iter().map(|branch| self.time_of(branch)).collect();
                times.sort_by(|a, b| b.total_cmp(a));
                let second = times.get(1).copied().unwrap_or(0.0);
                times.first().copied().unwrap_or(0.0) + FORK_SPREAD * second
            }
            Step::Repeat { times, steps } => times * self.time_of(steps),
            Step::Chance { probability, steps } => probability * self.time_of(steps),
            Step::Section(section) => section.time,
            Step::Publish { .. } => ROUND_TRIP,
        }
    }

    /// For how long steps hold a connection to a pooled store when nobody waits. What a cache asks when it misses is
    /// left out: it is little.
    pub fn connection_time(&self, steps: &[Step]) -> Millis {
        let held = |step: &Step| match step {
            Step::Query(query) if self.is_pooled(query.store) => self.time_of_step(step),
            Step::Transaction { steps, .. } => self.time_of(steps),
            Step::Span { steps, .. } | Step::RateLimit { steps, .. } => self.connection_time(steps),
            Step::Fork(branches) => branches.iter().map(|branch| self.connection_time(branch)).sum(),
            Step::Repeat { times, steps } => times * self.connection_time(steps),
            Step::Chance { probability, steps } => probability * self.connection_time(steps),
            _ => 0.0,
        };
        steps.iter().map(held).sum()
    }

    fn is_pooled(&self, store: &str) -> bool {
        self.stores.iter().any(|found| found.name == store && found.pooled)
    }

    /// CPU time that one customer request costs the instances of a service, all together.
    pub fn cpu_demand(&self, service: &str) -> Millis {
        let mut demand = 0.0;
        self.each_use(&mut |by, _, what, weight| {
            if by == service {
                demand += weight * cpu_time(what);
            }
        });
        demand
    }

    fn walk(&self, service: &str, operation: &str, weight: f64, visit: &mut Visit<'_>) {
        let found = self.services.iter().find(|found| found.name == service);
        let at = found.and_then(|found| {
            found.operations.iter().find(|each| each.name == operation).map(|each| (found.name, each))
        });
        let Some((service, operation)) = at else { return };
        visit(service, operation.name, &Use::Visit, weight);
        self.walk_steps((service, operation), &operation.steps, weight, visit);
    }

    fn walk_steps(
        &self,
        (service, operation): (&'static str, &Operation),
        steps: &[Step],
        weight: f64,
        visit: &mut Visit<'_>,
    ) {
        let by = (service, operation);
        for step in steps {
            visit(service, operation.name, &Use::Step(step), weight);
            match step {
                Step::Call(call) => self.walk(call.service, call.operation, weight, visit),
                Step::Span { steps, .. } | Step::Transaction { steps, .. } | Step::RateLimit { steps, .. } => {
                    self.walk_steps(by, steps, weight, visit);
                }
                Step::Cache(cache) => self.walk_steps(by, &cache.miss, weight * cache.expired, visit),
                Step::Fork(branches) => branches.iter().for_each(|branch| self.walk_steps(by, branch, weight, visit)),
                Step::Repeat { times, steps } => self.walk_steps(by, steps, weight * times, visit),
                Step::Chance { probability, steps } => self.walk_steps(by, steps, weight * probability, visit),
                Step::Publish { topic } => self.walk_consumers(topic, weight, visit),
                Step::Compute(_) | Step::Query(_) | Step::ThirdParty(_) | Step::Section(_) => {}
            }
        }
    }

    fn walk_consumers(&self, topic: &str, weight: f64, visit: &mut Visit<'_>) {
        for service in &self.services {
            for operation in service.operations.iter().filter(|found| found.topic() == Some(topic)) {
                self.walk(service.name, operation.name, weight, visit);
            }
        }
    }
}

/// CPU time of one thing alone: also taking requests and answers off the wire costs some.
fn cpu_time(what: &Use<'_>) -> Millis {
    const WAKE_UP: Millis = 0.03;
    match what {
        Use::Step(Step::Compute(time)) => *time,
        Use::Visit
        | Use::Step(Step::Query(_) | Step::Cache(_) | Step::Call(_) | Step::ThirdParty(_) | Step::Publish { .. }) => {
            WAKE_UP
        }
        Use::Step(_) => 0.0,
    }
}

/// Whether something is recorded as a span.
fn is_span(what: &Use<'_>) -> bool {
    match what {
        Use::Visit => true,
        Use::Step(step) => matches!(
            step,
            Step::Span { .. }
                | Step::Query(_)
                | Step::Cache(_)
                | Step::Call(_)
                | Step::ThirdParty(_)
                | Step::Publish { .. }
        ),
    }
}
