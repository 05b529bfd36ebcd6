//! What the shop's instrumentation writes down: spans by OpenTelemetry's semantic conventions, and failures.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};

use super::engine::Thread;
use super::kernel::Instant;
use super::plan::{Cache, Call, Language, Operation, Protocol, Query, ThirdParty, protocol};
use super::request::{Request, mix};
use super::span::{Parent, Process, SimEvent, SimSpan};
use super::world::{Instance, World};

/// Why an operation did not succeed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The HTTP status that tells it best.
    pub status: u16,
    /// `exception.type`.
    pub exception: &'static str,
    pub message: Cow<'static, str>,
    /// Whether the exception was thrown here, not in another process.
    thrown_here: bool,
}

impl Failure {
    fn new(status: u16, exception: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Failure { status, exception, message: message.into(), thrown_here: true }
    }

    pub fn connection_refused(service: &str) -> Self {
        Failure::new(503, "ConnectException", format!("{service}: connection refused"))
    }

    pub fn no_connection() -> Self {
        Failure::new(500, "SQLTransientConnectionException", "connection is not available, request timed out")
    }

    pub fn timeout(milliseconds: f64) -> Self {
        Failure::new(504, "TimeoutException", format!("no answer within {milliseconds:.0} ms"))
    }

    pub fn bad_gateway(host: &str) -> Self {
        Failure::new(502, "BadGatewayException", format!("{host} answered 502"))
    }

    pub fn not_permitted(limiter: &str) -> Self {
        Failure::new(503, "RequestNotPermitted", format!("rate limiter '{limiter}' does not permit further calls"))
    }

    /// The same failure as the caller of the failed service meets it.
    pub fn seen_by_caller(self, service: &str) -> Self {
        let message = format!("{service} answered {}", self.status);
        Failure { exception: "ServiceCallException", message: message.into(), thrown_here: false, ..self }
    }

    pub fn worth_retrying(&self) -> bool {
        self.status >= 502
    }

    /// The gRPC code that stands for the status.
    fn grpc_code(&self) -> i64 {
        match self.status {
            503 => 14,
            504 => 4,
            _ => 13,
        }
    }
}

/// A span that has begun.
pub struct OpenSpan {
    pub id: SpanId,
    trace_id: TraceId,
    parent: Option<Parent>,
    process: Arc<Process>,
    name: Cow<'static, str>,
    kind: SpanKind,
    start: Instant,
    attributes: Vec<KeyValue>,
    links: Vec<(TraceId, SpanId)>,
}

impl OpenSpan {
    fn begin(
        world: &World,
        instance: &Instance,
        request: &Request,
        parent: Option<Parent>,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        attributes: Vec<KeyValue>,
    ) -> Self {
        OpenSpan {
            id: request.new_span_id(),
            trace_id: request.trace_id,
            parent,
            process: instance.process.clone(),
            name: name.into(),
            kind,
            start: world.kernel.now(),
            attributes,
            links: Vec::new(),
        }
    }

    fn child(thread: Thread<'_>, kind: SpanKind, name: &'static str, attributes: Vec<KeyValue>) -> Self {
        let parent = Parent { span_id: thread.parent, remote: false };
        OpenSpan::begin(thread.world, thread.instance, thread.request, Some(parent), kind, name, attributes)
    }

    pub fn server(
        world: &World,
        instance: &Instance,
        request: &Request,
        operation: &Operation,
        caller: Option<SpanId>,
    ) -> Self {
        let mut attributes = match operation.protocol() {
            Protocol::Grpc { service, method } => vec![
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", service),
                KeyValue::new("rpc.method", method),
            ],
            Protocol::Http { method, route } => vec![
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route),
                KeyValue::new("url.path", path(route, request)),
                KeyValue::new("url.scheme", "http"),
            ],
            Protocol::Consumer { .. } => Vec::new(),
        };
        attributes.extend(request.attributes());
        attributes.push(thread_name(instance));
        if caller.is_none() {
            let customer = &request.customer;
            attributes.push(KeyValue::new("user.id", user_id(customer.user)));
            attributes.push(KeyValue::new("app.channel", customer.channel));
            attributes.push(KeyValue::new("client.address", customer.address.clone()));
        }
        let parent = caller.map(|span_id| Parent { span_id, remote: true });
        OpenSpan::begin(world, instance, request, parent, SpanKind::Server, operation.name, attributes)
    }

    pub fn consumer(
        world: &World,
        instance: &Instance,
        request: &Request,
        topic: &'static str,
        producer: (TraceId, SpanId),
    ) -> Self {
        let mut attributes = messaging(topic, "process");
        attributes.push(KeyValue::new("messaging.consumer.group.name", instance.process.service));
        attributes.push(KeyValue::new("user.id", user_id(request.customer.user)));
        attributes.push(thread_name(instance));
        let name = format!("process {topic}");
        let span = OpenSpan::begin(world, instance, request, None, SpanKind::Consumer, name, attributes);
        OpenSpan { links: vec![producer], ..span }
    }

    pub fn publish(thread: Thread<'_>, topic: &'static str, partition: usize) -> Self {
        let mut attributes = messaging(topic, "send");
        attributes.push(KeyValue::new("messaging.destination.partition.id", partition.to_string()));
        attributes.push(KeyValue::new("server.address", "kafka"));
        attributes.push(KeyValue::new("server.port", 9092));
        let parent = Parent { span_id: thread.parent, remote: false };
        let name = format!("send {topic}");
        let (world, instance, request) = (thread.world, thread.instance, thread.request);
        OpenSpan::begin(world, instance, request, Some(parent), SpanKind::Producer, name, attributes)
    }

    pub fn internal(thread: Thread<'_>, name: &'static str) -> Self {
        OpenSpan::child(thread, SpanKind::Internal, name, vec![thread_name(thread.instance)])
    }

    pub fn query(thread: Thread<'_>, query: &Query) -> Self {
        let (operation, collection) = query.summary.split_once(' ').unwrap_or((query.summary, ""));
        let mut attributes = store(thread, query.store);
        attributes.extend([
            KeyValue::new("db.operation.name", operation),
            KeyValue::new("db.collection.name", collection),
            KeyValue::new("db.query.summary", query.summary),
            KeyValue::new("db.query.text", query.text),
        ]);
        OpenSpan::child(thread, SpanKind::Client, query.summary, attributes)
    }

    pub fn cache(thread: Thread<'_>, cache: &Cache) -> Self {
        let mut attributes = store(thread, cache.store);
        attributes.push(KeyValue::new("db.operation.name", cache.command));
        OpenSpan::child(thread, SpanKind::Client, cache.command, attributes)
    }

    pub fn call(thread: Thread<'_>, call: &Call, callee: &Process, attempt: u32) -> Self {
        let mut attributes = match protocol(call.operation) {
            Protocol::Http { method, route } => vec![
                KeyValue::new("http.request.method", method),
                KeyValue::new("url.template", route),
                KeyValue::new("server.port", 8080),
            ],
            Protocol::Grpc { service, method } => vec![
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", service),
                KeyValue::new("rpc.method", method),
                KeyValue::new("server.port", 9090),
            ],
            Protocol::Consumer { .. } => Vec::new(),
        };
        attributes.push(KeyValue::new("server.address", call.service));
        attributes.push(KeyValue::new("network.peer.address", callee.address.clone()));
        if attempt > 1 {
            attributes.push(KeyValue::new("http.request.resend_count", i64::from(attempt - 1)));
        }
        OpenSpan::child(thread, SpanKind::Client, call.operation, attributes)
    }

    pub fn third_party(thread: Thread<'_>, call: &ThirdParty) -> Self {
        let (method, route) = call.operation.split_once(' ').unwrap_or((call.operation, ""));
        let attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.template", route),
            KeyValue::new("url.full", format!("https://{}{route}", call.host)),
            KeyValue::new("server.address", call.host),
            KeyValue::new("server.port", 443),
        ];
        OpenSpan::child(thread, SpanKind::Client, call.operation, attributes)
    }

    pub fn end_server(mut self, world: &World, outcome: &Result<(), Failure>) {
        let grpc = self.attributes.iter().any(|found| found.key.as_str() == "rpc.system");
        self.attributes.push(status_code(grpc, outcome));
        self.end(world, outcome);
    }

    pub fn end_call(mut self, world: &World, call: &Call, outcome: &Result<(), Failure>) {
        let grpc = matches!(protocol(call.operation), Protocol::Grpc { .. });
        let no_answer = outcome.as_ref().is_err_and(|failure| failure.status == 504);
        if grpc || !no_answer {
            self.attributes.push(status_code(grpc, outcome));
        }
        self.end(world, outcome);
    }

    pub fn end_third_party(mut self, world: &World, outcome: &Result<(), Failure>) {
        self.attributes.push(status_code(false, outcome));
        self.end(world, outcome);
    }

    pub fn end(mut self, world: &World, outcome: &Result<(), Failure>) {
        let now = world.kernel.now();
        let mut events = Vec::new();
        let status = match outcome {
            Ok(()) => Status::Unset,
            Err(failure) => {
                self.attributes.push(error_type(&self.kind, failure));
                if failure.thrown_here && self.kind != SpanKind::Client {
                    events.push(exception(&self.process, failure, now));
                }
                Status::error(failure.message.clone())
            }
        };
        world.finished.borrow_mut().push(SimSpan {
            trace_id: self.trace_id,
            span_id: self.id,
            parent: self.parent,
            process: self.process,
            name: self.name,
            kind: self.kind,
            start: self.start,
            end: now,
            attributes: self.attributes,
            events,
            links: self.links,
            status,
        });
    }
}

fn store(thread: Thread<'_>, name: &'static str) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("server.address", name)];
    if let Some(store) = thread.world.plan.stores.iter().find(|found| found.name == name) {
        attributes.extend([
            KeyValue::new("server.port", i64::from(store.port)),
            KeyValue::new("db.system.name", store.system),
            KeyValue::new("db.namespace", store.namespace),
        ]);
    }
    attributes
}

fn messaging(topic: &'static str, operation: &'static str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.destination.name", topic),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
    ]
}

fn status_code(grpc: bool, outcome: &Result<(), Failure>) -> KeyValue {
    let failure = outcome.as_ref().err();
    if grpc {
        KeyValue::new("rpc.grpc.status_code", failure.map_or(0, Failure::grpc_code))
    } else {
        KeyValue::new("http.response.status_code", failure.map_or(200, |found| i64::from(found.status)))
    }
}

fn error_type(kind: &SpanKind, failure: &Failure) -> KeyValue {
    if failure.thrown_here && *kind != SpanKind::Client {
        KeyValue::new("error.type", failure.exception)
    } else {
        KeyValue::new("error.type", failure.status.to_string())
    }
}

fn exception(process: &Process, failure: &Failure, at: Instant) -> SimEvent {
    let mut attributes = vec![
        KeyValue::new("exception.type", failure.exception),
        KeyValue::new("exception.message", failure.message.to_string()),
    ];
    if process.language == Language::Java {
        let trace = format!(
            "{}: {}\n\tat shop.{}.Handler.handle(Handler.java:118)\n\tat java.base/java.lang.Thread.run(Thread.java:1583)",
            failure.exception, failure.message, process.service
        );
        attributes.push(KeyValue::new("exception.stacktrace", trace));
    }
    SimEvent { name: "exception", at, attributes }
}

fn thread_name(instance: &Instance) -> KeyValue {
    let number = instance.workers.in_use();
    let name = match instance.process.language {
        Language::Java => format!("http-nio-8080-exec-{number}"),
        Language::Go => "main".to_owned(),
        Language::Node => "event-loop".to_owned(),
        Language::Python => format!("ThreadPoolExecutor-0_{number}"),
        Language::Cpp => format!("wrk:worker_{}", number % 4),
    };
    KeyValue::new("thread.name", name)
}

fn user_id(user: u64) -> String {
    format!("u-{:07}", mix(user) % 10_000_000)
}

/// The route with the request's own ids in it.
fn path(route: &str, request: &Request) -> String {
    let id = if route.contains("products") {
        format!("{:06}", mix(request.customer.product) % 1_000_000)
    } else {
        user_id(request.customer.user)
    };
    route.replace("{id}", &id)
}
