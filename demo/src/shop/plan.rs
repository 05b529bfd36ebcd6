//! What a shop is made of, as data: services with operations, operations with steps, stores, topics, traffic.
//!
//! A plan only says what there is. [`storefront`](super::storefront) or [`generated`](super::generated) write a healthy
//! one, a [`fault`](super::faults) edits it, [`engine`](super::engine) runs it. `expected.rs` says what it comes to on
//! average. Times are milliseconds, means of log-normal distributions.

mod expected;

pub use expected::Use;

/// The service at which every customer request arrives.
pub const ENTRANCE: &str = "gateway";

/// Mean milliseconds.
pub type Millis = f64;

#[derive(Debug, Clone)]
pub struct Plan {
    pub services: Vec<Service>,
    pub stores: Vec<Store>,
    /// What customers do: operations of the [`ENTRANCE`] and their share of the traffic; the shares sum to 1.
    pub entries: Vec<(&'static str, f64)>,
    /// Values of `app.region` and their share of the customers; the shares sum to 1.
    pub regions: Vec<(&'static str, f64)>,
    /// Network links that carry only so much, from caller to callee.
    pub links: Vec<Link>,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub name: &'static str,
    pub version: &'static str,
    pub language: Language,
    pub instances: usize,
    /// Threads that serve requests; the others wait for one.
    pub workers: usize,
    /// Requests that may wait for a worker; the next is turned away.
    pub backlog: usize,
    /// CPU cores of one instance.
    pub cores: usize,
    /// Connections to its database that one instance may hold.
    pub connections: usize,
    pub heap: Heap,
    /// How many times slower the CPU of the given instance is.
    pub throttled: Option<(usize, f64)>,
    pub operations: Vec<Operation>,
}

impl Service {
    /// A service without operations and with room for all of its load.
    pub fn usual(name: &'static str, version: &'static str, language: Language, instances: usize) -> Self {
        Service {
            name,
            version,
            language,
            instances,
            workers: 200,
            backlog: 2_000,
            cores: 4,
            connections: 20,
            heap: Heap {
                size_mib: 2_048.0,
                live_mib: 200.0,
                live_per_customer_mib: 0.2,
                per_request_mib: 6.0,
                pause_per_live_mib: 0.02,
            },
            throttled: None,
            operations: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Java,
    Go,
    Node,
    Python,
    Cpp,
}

/// Memory of one instance: each request allocates, and when the rest of the heap is full, all threads stop for a
/// collection that takes as long as there is live data.
#[derive(Debug, Clone, Copy)]
pub struct Heap {
    pub size_mib: f64,
    /// Live without any customer.
    pub live_mib: f64,
    /// Live for each customer seen lately ([`Heap::MEMORY_S`]).
    pub live_per_customer_mib: f64,
    pub per_request_mib: f64,
    /// Pause for each MiB of live data.
    pub pause_per_live_mib: Millis,
}

impl Heap {
    /// How long a customer is remembered, in seconds: the time constant of the exponential decay.
    pub const MEMORY_S: f64 = 10.0;
}

/// An operation that a service serves. The name is `GET /route`, `package.Service/Method` or `process topic`.
#[derive(Debug, Clone)]
pub struct Operation {
    pub name: &'static str,
    pub steps: Vec<Step>,
}

/// A database, cache or search engine.
#[derive(Debug, Clone)]
pub struct Store {
    pub name: &'static str,
    pub system: &'static str,
    pub namespace: &'static str,
    pub port: u16,
    pub cores: usize,
    /// Whether clients take a connection from their pool for each use.
    pub pooled: bool,
}

#[derive(Debug, Clone)]
pub struct Link {
    pub caller: &'static str,
    pub callee: &'static str,
    /// How long one message occupies the link.
    pub message: Millis,
}

#[derive(Debug, Clone)]
pub enum Step {
    /// CPU work of the thread, in slices, together with everybody else on the instance.
    Compute(Millis),
    /// The steps within an INTERNAL span.
    Span {
        name: &'static str,
        steps: Vec<Step>,
    },
    Query(Query),
    /// The steps while holding one connection to the store.
    Transaction {
        store: &'static str,
        steps: Vec<Step>,
    },
    /// Looks a key up; runs `miss` when it is not there, and puts it there.
    Cache(Cache),
    Call(Call),
    ThirdParty(ThirdParty),
    /// All branches at once.
    Fork(Vec<Vec<Step>>),
    /// The steps about so many times, one after the other.
    Repeat {
        times: f64,
        steps: Vec<Step>,
    },
    /// The steps with this probability.
    Chance {
        probability: f64,
        steps: Vec<Step>,
    },
    /// Something that only so many may do at once; no span shows it.
    Section(Section),
    /// The steps, so many times a second on each instance; beyond that refuse, or leave them out.
    RateLimit {
        name: &'static str,
        per_second: f64,
        beyond: Beyond,
        steps: Vec<Step>,
    },
    Publish {
        topic: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    Refuse,
    Skip,
}

#[derive(Debug, Clone)]
pub struct Query {
    pub store: &'static str,
    /// `db.query.summary` and the span's name, e.g. `UPDATE stock`.
    pub summary: &'static str,
    pub text: &'static str,
    pub time: Millis,
    /// A lock or shard inside the store that the query holds for its whole time.
    pub exclusive: Option<Lock>,
}

#[derive(Debug, Clone)]
pub struct Cache {
    pub store: &'static str,
    pub command: &'static str,
    pub key: Key,
    /// How many keys fit; the one unused longest goes first.
    pub entries: usize,
    /// Share of lookups that find their key expired.
    pub expired: f64,
    pub miss: Vec<Step>,
}

/// What a cache is keyed by. Both are drawn from those that are active, whose number follows the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    User,
    Product,
}

/// How many users (and products) are in circulation for each request per second.
pub const ACTIVE_PER_RATE: f64 = 10.0;

#[derive(Debug, Clone)]
pub struct Call {
    pub service: &'static str,
    pub operation: &'static str,
    pub timeout: Millis,
    /// 1 is no retry.
    pub attempts: u32,
    /// Whether the caller goes on without the answer.
    pub optional: bool,
}

#[derive(Debug, Clone)]
pub struct ThirdParty {
    pub host: &'static str,
    /// `POST /v1/charges`.
    pub operation: &'static str,
    pub time: Millis,
    /// How many calls the provider serves us at once; the others wait on its side.
    pub limit: usize,
}

#[derive(Debug, Clone)]
pub struct Section {
    pub lock: Lock,
    pub time: Millis,
}

#[derive(Debug, Clone)]
pub struct Lock {
    pub name: &'static str,
    pub scope: Scope,
    pub permits: usize,
    /// Only for requests whose attribute has this value.
    pub only: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One for each instance.
    Instance,
    /// One for the whole shop.
    Shop,
}

impl Plan {
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    pub fn service_mut(&mut self, name: &str) -> Option<&mut Service> {
        self.services.iter_mut().find(|service| service.name == name)
    }

    pub fn operation(&self, service: &str, operation: &str) -> Option<&Operation> {
        self.service(service)?.operations.iter().find(|found| found.name == operation)
    }

    /// The steps of an operation, to be edited.
    pub fn steps_mut(&mut self, service: &str, operation: &str) -> Option<&mut Vec<Step>> {
        let service = self.service_mut(service)?;
        service.operations.iter_mut().find(|found| found.name == operation).map(|found| &mut found.steps)
    }

    pub fn instances(&self, service: &str) -> usize {
        self.service(service).map_or(1, |found| found.instances)
    }
}

/// All the steps, inner ones too, outer ones first.
pub fn steps_in(steps: &[Step]) -> Vec<&Step> {
    let mut all = Vec::new();
    for step in steps {
        all.push(step);
        match step {
            Step::Span { steps, .. }
            | Step::Transaction { steps, .. }
            | Step::Repeat { steps, .. }
            | Step::Chance { steps, .. }
            | Step::RateLimit { steps, .. } => all.extend(steps_in(steps)),
            Step::Cache(cache) => all.extend(steps_in(&cache.miss)),
            Step::Fork(branches) => branches.iter().for_each(|branch| all.extend(steps_in(branch))),
            Step::Compute(_)
            | Step::Query(_)
            | Step::Call(_)
            | Step::ThirdParty(_)
            | Step::Section(_)
            | Step::Publish { .. } => {}
        }
    }
    all
}

/// How an operation is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http { method: &'static str, route: &'static str },
    Grpc { service: &'static str, method: &'static str },
    Consumer { topic: &'static str },
}

impl Operation {
    pub fn protocol(&self) -> Protocol {
        protocol(self.name)
    }

    /// The topic that the operation consumes.
    pub fn topic(&self) -> Option<&'static str> {
        match self.protocol() {
            Protocol::Consumer { topic } => Some(topic),
            _ => None,
        }
    }

    /// The kind of its spans, as OTLP writes it.
    pub fn span_kind(&self) -> &'static str {
        if self.topic().is_some() { "CONSUMER" } else { "SERVER" }
    }

    /// Whether it calls this other one.
    pub fn calls(&self, service: &str, operation: &str) -> bool {
        let is =
            |step: &&Step| matches!(step, Step::Call(call) if call.service == service && call.operation == operation);
        steps_in(&self.steps).iter().any(is)
    }
}

/// Reads the protocol from an operation's name.
pub fn protocol(name: &'static str) -> Protocol {
    match name.split_once(' ') {
        Some(("process", topic)) => Protocol::Consumer { topic },
        Some((method, route)) => Protocol::Http { method, route },
        None => {
            let (service, method) = name.split_once('/').unwrap_or((name, ""));
            Protocol::Grpc { service, method }
        }
    }
}
