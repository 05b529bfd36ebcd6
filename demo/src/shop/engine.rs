//! Runs operations: each step waits where a real process would wait and records what its SDK would record.
//!
//! Two kinds of waiting have no span of their own, as in most instrumented applications: the wait for a connection or
//! a lock is a hole in the span around it, and the wait for a worker thread makes the caller's CLIENT span longer
//! than the SERVER span.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures::future::join_all;
use opentelemetry::trace::SpanId;

use super::kernel::{Instant, MILLISECOND, Reply};
use super::plan::{Beyond, Cache, Call, Operation, Query, Section, Step, ThirdParty};
use super::record::{Failure, OpenSpan};
use super::request::Request;
use super::world::{Instance, Message, World};

/// One message over the network, on average.
const NETWORK_MS: f64 = 0.15;
/// CPU work to take a request or an answer off the wire.
const WAKE_UP_MS: f64 = 0.03;
/// How long a thread waits for a connection from its pool.
const POOL_TIMEOUT: Instant = 10_000 * MILLISECOND;
/// How often a third party fails by itself.
const THIRD_PARTY_FAILURES: f64 = 0.002;
/// How many messages a topic is split over.
const PARTITIONS: usize = 6;

type Steps<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// Where a thread is: in which instance, for which request, below which span.
#[derive(Clone, Copy)]
pub struct Thread<'a> {
    pub world: &'a Rc<World>,
    pub instance: &'a Rc<Instance>,
    pub request: &'a Rc<Request>,
    pub parent: SpanId,
    /// The store to which it holds a connection.
    holding: Option<&'static str>,
}

/// Serves one request on one instance, from the wait for a worker thread to the end of the SERVER span.
pub async fn serve(
    world: Rc<World>,
    instance: Rc<Instance>,
    request: Rc<Request>,
    operation: &Operation,
    caller: Option<SpanId>,
) -> Result<(), Failure> {
    if instance.workers.waiting() >= instance.backlog {
        return Err(Failure::connection_refused(instance.process.service));
    }
    let _worker = instance.workers.acquire().await;
    instance.compute(&world.kernel, request.time(WAKE_UP_MS)).await;
    let span = OpenSpan::server(&world, &instance, &request, operation, caller);
    let thread = Thread { world: &world, instance: &instance, request: &request, parent: span.id, holding: None };
    let outcome = thread.run(&operation.steps).await;
    span.end_server(&world, &outcome);
    instance.allocate(&world.kernel);
    outcome
}

/// Consumes a topic for ever with one thread of an instance. Each message begins a trace of its own.
pub async fn consume(world: Rc<World>, instance: Rc<Instance>, service: usize, operation: usize) {
    let operation = &world.plan.services[service].operations[operation];
    let Some(topic) = operation.topic() else { return };
    let messages = world.topic(topic);
    loop {
        let Message { customer, producer } = messages.receive().await;
        let request = Rc::new(Request::follow_up(customer, world.seed, world.ids, world.next_number()));
        instance.compute(&world.kernel, request.time(WAKE_UP_MS)).await;
        let span = OpenSpan::consumer(&world, &instance, &request, topic, producer);
        let thread = Thread { world: &world, instance: &instance, request: &request, parent: span.id, holding: None };
        let outcome = thread.run(&operation.steps).await;
        span.end(&world, &outcome);
        instance.allocate(&world.kernel);
    }
}

impl<'a> Thread<'a> {
    fn run(self, steps: &'a [Step]) -> Steps<'a> {
        Box::pin(async move {
            for step in steps {
                self.step(step).await?;
            }
            Ok(())
        })
    }

    async fn step(self, step: &'a Step) -> Result<(), Failure> {
        match step {
            Step::Compute(time) => self.compute(*time).await,
            Step::Span { name, steps } => return self.internal(name, steps).await,
            Step::Query(query) => return self.query(query).await,
            Step::Transaction { store, steps } => return self.transaction(store, steps).await,
            Step::Cache(cache) => return self.cache(cache).await,
            Step::Call(call) => return self.call(call).await,
            Step::ThirdParty(call) => return self.third_party(call).await,
            Step::Fork(branches) => {
                // A branch that fails does not stop the others, whose spans would never end.
                let outcomes = join_all(branches.iter().map(|branch| self.run(branch))).await;
                outcomes.into_iter().collect::<Result<(), Failure>>()?;
            }
            Step::Repeat { times, steps } => {
                for _ in 0..self.request.times(*times) {
                    self.run(steps).await?;
                }
            }
            Step::Chance { probability, steps } => {
                if self.request.chance(*probability) {
                    return self.run(steps).await;
                }
            }
            Step::Section(section) => self.section(section).await,
            Step::RateLimit { name, per_second, beyond, steps } => {
                return self.rate_limit(name, *per_second, *beyond, steps).await;
            }
            Step::Publish { topic } => self.publish(topic).await,
        }
        Ok(())
    }

    async fn compute(self, mean: f64) {
        self.instance.compute(&self.world.kernel, self.request.time(mean)).await;
    }

    async fn network(self) {
        self.world.kernel.sleep(self.request.time(NETWORK_MS)).await;
    }

    async fn internal(self, name: &'static str, steps: &'a [Step]) -> Result<(), Failure> {
        let span = OpenSpan::internal(self, name);
        let outcome = Thread { parent: span.id, ..self }.run(steps).await;
        span.end(self.world, &outcome);
        outcome
    }

    async fn query(self, query: &'a Query) -> Result<(), Failure> {
        if self.holding == Some(query.store) || !self.pooled(query.store) {
            self.send_query(query).await;
            return Ok(());
        }
        let pool = self.instance.pool(&self.world.kernel, query.store);
        match self.world.kernel.timeout(POOL_TIMEOUT, pool.acquire()).await {
            Some(_connection) => {
                self.send_query(query).await;
                Ok(())
            }
            None => Err(Failure::no_connection()),
        }
    }

    async fn transaction(self, store: &'static str, steps: &'a [Step]) -> Result<(), Failure> {
        let pool = self.instance.pool(&self.world.kernel, store);
        match self.world.kernel.timeout(POOL_TIMEOUT, pool.acquire()).await {
            Some(_connection) => Thread { holding: Some(store), ..self }.run(steps).await,
            None => Err(Failure::no_connection()),
        }
    }

    fn pooled(self, store: &str) -> bool {
        self.world.plan.stores.iter().any(|found| found.name == store && found.pooled)
    }

    async fn send_query(self, query: &'a Query) {
        let span = OpenSpan::query(self, query);
        self.network().await;
        {
            let _exclusive = match &query.exclusive {
                Some(lock) if self.concerned(lock.only) => Some(self.world.lock(self.instance, lock).acquire().await),
                _ => None,
            };
            let cores = self.world.plan.stores.iter().find(|found| found.name == query.store).map_or(8, |s| s.cores);
            let _core = self.world.station("store", query.store, cores).acquire().await;
            self.world.kernel.sleep(self.request.time(query.time)).await;
        }
        self.network().await;
        self.compute(WAKE_UP_MS).await;
        span.end(self.world, &Ok(()));
    }

    async fn cache(self, cache: &'a Cache) -> Result<(), Failure> {
        const LOOK_UP_MS: f64 = 0.25;
        let span = OpenSpan::cache(self, cache);
        self.network().await;
        {
            let _core = self.world.station("store", cache.store, 4).acquire().await;
            self.world.kernel.sleep(self.request.time(LOOK_UP_MS)).await;
        }
        self.network().await;
        self.compute(WAKE_UP_MS).await;
        let found = self.world.look_up(cache.store, cache.entries, self.request.key(cache.key));
        span.end(self.world, &Ok(()));
        if found && !self.request.chance(cache.expired) {
            return Ok(());
        }
        self.run(&cache.miss).await
    }

    async fn call(self, call: &'a Call) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for attempt in 1..=call.attempts.max(1) {
            outcome = self.attempt(call, attempt).await;
            if !outcome.as_ref().is_err_and(Failure::worth_retrying) {
                break;
            }
        }
        if call.optional { Ok(()) } else { outcome }
    }

    /// One try. The callee goes on with it even when the caller has given up.
    async fn attempt(self, call: &'a Call, attempt: u32) -> Result<(), Failure> {
        let Some(instances) = self.world.instances.get(call.service).filter(|all| !all.is_empty()) else {
            return Err(Failure::connection_refused(call.service));
        };
        let target = instances[self.request.below(instances.len())].clone();
        let span = OpenSpan::call(self, call, &target.process, attempt);
        let reply = Reply::new(&self.world.kernel);
        let remote = Remote {
            world: self.world.clone(),
            target,
            request: self.request.clone(),
            caller: self.instance.process.service,
            span: span.id,
            service: call.service,
            operation: call.operation,
        };
        let answer = reply.clone();
        self.world.kernel.spawn(async move { answer.send(remote.exchange().await) });
        let patience = (call.timeout * MILLISECOND as f64) as Instant;
        let answered = self.world.kernel.timeout(patience, reply.receive()).await;
        self.compute(WAKE_UP_MS).await;
        let outcome = answered.unwrap_or_else(|| Err(Failure::timeout(call.timeout)));
        span.end_call(self.world, call, &outcome);
        outcome.map_err(|failure| failure.seen_by_caller(call.service))
    }

    async fn third_party(self, call: &'a ThirdParty) -> Result<(), Failure> {
        const INTERNET_MS: f64 = 1.5;
        let span = OpenSpan::third_party(self, call);
        self.world.kernel.sleep(self.request.time(INTERNET_MS)).await;
        {
            let _served = self.world.station("third party", call.host, call.limit).acquire().await;
            self.world.kernel.sleep(self.request.time(call.time)).await;
        }
        self.world.kernel.sleep(self.request.time(INTERNET_MS)).await;
        self.compute(WAKE_UP_MS).await;
        let failed = self.request.chance(THIRD_PARTY_FAILURES);
        let outcome = if failed { Err(Failure::bad_gateway(call.host)) } else { Ok(()) };
        span.end_third_party(self.world, &outcome);
        outcome
    }

    async fn section(self, section: &'a Section) {
        if self.concerned(section.lock.only) {
            let _held = self.world.lock(self.instance, &section.lock).acquire().await;
            self.world.kernel.sleep(self.request.time(section.time)).await;
        }
    }

    fn concerned(self, only: Option<(&'static str, &'static str)>) -> bool {
        only.is_none_or(|(key, value)| self.request.has(key, value))
    }

    async fn rate_limit(
        self,
        name: &'static str,
        per_second: f64,
        beyond: Beyond,
        steps: &'a [Step],
    ) -> Result<(), Failure> {
        if self.instance.admit(self.world.kernel.now(), name, per_second) {
            return self.run(steps).await;
        }
        match beyond {
            Beyond::Refuse => Err(Failure::not_permitted(name)),
            Beyond::Skip => Ok(()),
        }
    }

    async fn publish(self, topic: &'static str) {
        const BROKER_MS: f64 = 1.2;
        let span = OpenSpan::publish(self, topic, self.request.below(PARTITIONS));
        self.network().await;
        self.world.kernel.sleep(self.request.time(BROKER_MS)).await;
        let message = Message { customer: self.request.customer.clone(), producer: (self.request.trace_id, span.id) };
        self.world.topic(topic).send(message);
        self.network().await;
        self.compute(WAKE_UP_MS).await;
        span.end(self.world, &Ok(()));
    }
}

/// The way of a call to the other process and back.
struct Remote {
    world: Rc<World>,
    target: Rc<Instance>,
    request: Rc<Request>,
    caller: &'static str,
    span: SpanId,
    service: &'static str,
    operation: &'static str,
}

impl Remote {
    async fn exchange(self) -> Result<(), Failure> {
        let Some(operation) = self.world.plan.operation(self.service, self.operation) else {
            return Err(Failure::connection_refused(self.service));
        };
        self.transfer().await;
        let outcome =
            serve(self.world.clone(), self.target.clone(), self.request.clone(), operation, Some(self.span)).await;
        self.transfer().await;
        outcome
    }

    /// One message between the two processes.
    async fn transfer(&self) {
        let link = self.world.plan.links.iter().find(|l| l.caller == self.caller && l.callee == self.service);
        if let Some(link) = link {
            let _line = self.world.station("link", link.callee, 1).acquire().await;
            self.world.kernel.sleep(self.request.time(link.message)).await;
        }
        self.world.kernel.sleep(self.request.time(NETWORK_MS)).await;
    }
}
