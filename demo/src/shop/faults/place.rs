//! Where a fault can be: the shop's places are listed, those of a generated plan are looked for.

use std::collections::BTreeMap;

use crate::shop::plan::{ENTRANCE, Millis, Operation, Plan, Query, Service, Step, Use, steps_in};

/// A place for a fault: an operation, and what of it the fault needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub service: &'static str,
    pub operation: &'static str,
    pub part: Part,
    /// Work at the same station that the fault leaves as it is, in ms per customer request.
    pub beside: Millis,
    /// Other spans, as service and operation, that show the same thing from another side.
    pub also: Vec<(&'static str, &'static str)>,
}

/// What of an operation a fault changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    Whole,
    /// Its longest CPU work, which this span shows.
    Work(&'static str),
    /// A statement; `locked` when it is to wait for a lock, not for the store's cores.
    Statement {
        summary: &'static str,
        store: &'static str,
        locked: bool,
    },
    /// A statement that reads a list, and one that could read its items.
    List {
        summary: &'static str,
        store: &'static str,
        item: &'static str,
        text: &'static str,
    },
    /// A call to the outside.
    ThirdParty {
        operation: &'static str,
        host: &'static str,
    },
    /// The service that calls the operation.
    Caller(&'static str),
    /// A new statement that customers of one kind make in turn.
    Shard(Customers, &'static str, &'static str, &'static str),
    /// A statement (summary, store) that customers of one kind make in turn.
    Partition(Customers, &'static str, &'static str),
    /// Something that customers of one kind do in turn.
    Ledger(Customers),
}

/// The customers whose attribute has this value, and their share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Customers {
    pub key: &'static str,
    pub value: &'static str,
    pub share: f64,
}

impl Place {
    pub const fn at(service: &'static str, operation: &'static str) -> Self {
        Place::with(service, operation, Part::Whole)
    }

    pub const fn with(service: &'static str, operation: &'static str, part: Part) -> Self {
        Place { service, operation, part, beside: 0.0, also: Vec::new() }
    }
}

/// A plan as one looks for places in it.
pub struct Survey<'p> {
    pub plan: &'p Plan,
    visits: BTreeMap<(&'static str, &'static str), f64>,
}

/// A fault in a place that fewer requests come to than this is hardly a bottleneck.
pub const OFTEN: f64 = 0.05;
/// The part of a service's visits from which on an operation stands for the service.
const MAIN: f64 = 0.4;

impl<'p> Survey<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        Survey { plan, visits: plan.all_visits() }
    }

    pub fn visits(&self, service: &str, operation: &str) -> f64 {
        self.visits.get(&(service, operation)).copied().unwrap_or(0.0)
    }

    /// How often one customer request visits a service.
    pub fn visits_of(&self, service: &Service) -> f64 {
        service.operations.iter().map(|operation| self.visits(service.name, operation.name)).sum()
    }

    /// All operations but the gateway's that requests come to often.
    pub fn operations(&self) -> Vec<(&'p Service, &'p Operation)> {
        let behind = self.plan.services.iter().filter(|service| service.name != ENTRANCE);
        behind
            .flat_map(|service| service.operations.iter().map(move |operation| (service, operation)))
            .filter(|(service, operation)| self.visits(service.name, operation.name) >= OFTEN)
            .collect()
    }

    /// Those of them that are a large part of what their service does: what a whole service suffers from shows there.
    pub fn main_operations(&self) -> Vec<(&'p Service, &'p Operation)> {
        let is_main = |(service, operation): &(&Service, &Operation)| {
            self.visits(service.name, operation.name) >= MAIN * self.visits_of(service)
        };
        self.operations().into_iter().filter(is_main).collect()
    }

    /// Main operations that are called, also shown by the INTERNAL spans of the service: what stops the threads of a
    /// process stops them in whichever of these they are. Consumers that are stopped just take fewer messages.
    pub fn places_in_processes(&self) -> Vec<(&'p Service, Place)> {
        let called = self.main_operations().into_iter().filter(|(_, operation)| operation.topic().is_none());
        let place = |(service, operation): (&'p Service, &'p Operation)| {
            (service, Place { also: spans_within(service), ..Place::at(service.name, operation.name) })
        };
        called.map(place).collect()
    }

    /// The other operations of a service.
    pub fn others(&self, service: &Service, operation: &Operation) -> Vec<(&'static str, &'static str)> {
        let others = service.operations.iter().filter(|other| other.name != operation.name);
        others.map(|other| (service.name, other.name)).collect()
    }

    /// How much the store does apart from one statement of one service: times per customer request, and ms.
    pub fn others_at_store(&self, store: &str, service: &str, summary: &str) -> (f64, Millis) {
        let (mut uses, mut demand) = (0.0, 0.0);
        self.plan.each_use(&mut |by, _, what, weight| match what {
            Use::Step(Step::Query(query)) if query.store == store && !(by == service && query.summary == summary) => {
                uses += weight;
                demand += weight * query.time;
            }
            _ => {}
        });
        (uses, demand)
    }
}

/// The INTERNAL spans of a service.
fn spans_within(service: &Service) -> Vec<(&'static str, &'static str)> {
    let steps = service.operations.iter().flat_map(|operation| steps_in(&operation.steps));
    let names = steps.filter_map(|step| match step {
        Step::Span { name, .. } => Some((service.name, *name)),
        _ => None,
    });
    names.collect()
}

/// The services that call an operation.
pub fn callers(plan: &Plan, service: &str, operation: &str) -> Vec<&'static str> {
    let calling = plan.services.iter().filter(|caller| caller.operations.iter().any(|o| o.calls(service, operation)));
    calling.map(|caller| caller.name).collect()
}

/// Time of an operation's own work, CPU and statements, that it does in each visit: all that `stretch` multiplies but
/// for what a cache asks when it misses.
pub fn own_time(steps: &[Step]) -> Millis {
    let of = |step: &Step| match step {
        Step::Compute(time) => *time,
        Step::Query(query) => query.time,
        Step::Span { steps, .. } | Step::Transaction { steps, .. } | Step::RateLimit { steps, .. } => own_time(steps),
        _ => 0.0,
    };
    steps.iter().map(of).sum()
}

/// How often a service makes a statement for one customer request.
pub fn statements(plan: &Plan, service: &str, summary: &str) -> f64 {
    plan.uses(service, &|step| matches!(step, Step::Query(query) if query.summary == summary))
}

/// The statements that an operation makes in every visit: at the top, in a transaction or in a span.
pub fn steady_statements(steps: &[Step]) -> Vec<&Query> {
    let mut found = Vec::new();
    for step in steps {
        match step {
            Step::Query(query) => found.push(query),
            Step::Span { steps, .. } | Step::Transaction { steps, .. } => found.extend(steady_statements(steps)),
            _ => {}
        }
    }
    found
}

/// Whether something else in the service makes the statement too.
pub fn is_only_in(service: &Service, operation: &Operation, summary: &str) -> bool {
    let makes = |step: &&Step| matches!(step, Step::Query(query) if query.summary == summary);
    let times = |operation: &Operation| steps_in(&operation.steps).iter().filter(|step| makes(step)).count();
    let elsewhere: usize = service.operations.iter().filter(|other| other.name != operation.name).map(times).sum();
    times(operation) == 1 && elsewhere == 0
}
