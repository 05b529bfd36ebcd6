//! The shop against facts from elsewhere: queueing theory, and each fault's truth by a measure of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use tokio_util::sync::CancellationToken;

use super::kernel::Instant;
use super::simulation::Simulation;
use super::*;
use crate::sink::Sink;

const SECOND: Instant = 1_000_000_000;

fn settings(fault: &str, place: usize, seed: u64) -> Settings {
    Settings {
        seed,
        fault: fault.to_owned(),
        place: Some(place),
        step_after: Duration::from_secs(30),
        duration: Duration::from_secs(75),
        ..Settings::default()
    }
}

/// What happened in one window, per customer request.
#[derive(Default)]
pub struct Window {
    requests: f64,
    /// Time that a span spent while none of its children ran, by service and name, in ms.
    pub own_time: BTreeMap<(String, String), f64>,
    errors: BTreeMap<(String, String), f64>,
    pub calls: BTreeMap<(String, String), f64>,
    /// From the end of the PRODUCER span to the start of the CONSUMER span.
    message_wait: f64,
}

/// Adds spans up by the windows in which their trace (or the trace that they are linked to) began.
fn windows(spans: &[SimSpan], bounds: &[(Instant, Instant)]) -> Vec<Window> {
    let mut children: HashMap<(TraceId, SpanId), Vec<&SimSpan>> = HashMap::new();
    let mut began: HashMap<TraceId, Instant> = HashMap::new();
    let mut by_id: HashMap<SpanId, &SimSpan> = HashMap::new();
    for span in spans {
        by_id.insert(span.span_id, span);
        match span.parent {
            Some(parent) => children.entry((span.trace_id, parent.span_id)).or_default().push(span),
            None => drop(began.insert(span.trace_id, span.start)),
        }
    }
    let sum = |&(from, to): &(Instant, Instant)| {
        let mut window = Window::default();
        for span in spans {
            let start = began[&span.trace_id];
            if start < from || start >= to {
                continue;
            }
            let key = (span.process.service.to_owned(), span.name.to_string());
            if span.parent.is_none() && span.kind == SpanKind::Server {
                window.requests += 1.0;
            }
            let below = children.get(&(span.trace_id, span.span_id)).map(Vec::as_slice).unwrap_or_default();
            *window.own_time.entry(key.clone()).or_default() += own_time(span, below) as f64 / 1e6;
            *window.calls.entry(key.clone()).or_default() += 1.0;
            if span.failed() {
                *window.errors.entry(key).or_default() += 1.0;
            }
            for (_, producer) in &span.links {
                window.message_wait += span.start.saturating_sub(by_id[producer].end) as f64 / 1e6;
            }
        }
        for sums in [&mut window.own_time, &mut window.errors, &mut window.calls] {
            sums.values_mut().for_each(|value| *value /= window.requests);
        }
        window.message_wait /= window.requests;
        window
    };
    bounds.iter().map(sum).collect()
}

fn own_time(span: &SimSpan, children: &[&SimSpan]) -> Instant {
    let mut parts: Vec<_> = children.iter().map(|c| (c.start.max(span.start), c.end.min(span.end))).collect();
    parts.sort_unstable();
    let (mut covered, mut until) = (0, span.start);
    for (start, end) in parts {
        covered += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    span.duration() - covered
}

fn rises(
    before: &BTreeMap<(String, String), f64>,
    after: &BTreeMap<(String, String), f64>,
) -> Vec<(f64, (String, String))> {
    let keys: HashSet<_> = before.keys().chain(after.keys()).collect();
    let at = |map: &BTreeMap<(String, String), f64>, key| map.get(key).copied().unwrap_or(0.0);
    let mut rises: Vec<_> = keys.into_iter().map(|key| (at(after, key) - at(before, key), key.clone())).collect();
    rises.sort_by(|a, b| b.0.total_cmp(&a.0));
    rises
}

pub fn base_and_peak(spans: &[SimSpan]) -> (Window, Window) {
    let mut both = windows(spans, &[(5 * SECOND, 30 * SECOND), (40 * SECOND, 75 * SECOND)]).into_iter();
    (both.next().expect("two"), both.next().expect("two"))
}

/// Every fault at each of its places.
fn places() -> impl Iterator<Item = (&'static Fault, usize)> {
    faults().iter().flat_map(|fault| (0..fault.places_in_shop()).map(move |place| (fault, place)))
}

#[test]
fn the_same_settings_make_the_same_run() {
    let short = |seed| Settings { duration: Duration::from_secs(25), ..settings("", 0, seed) };
    let (one, again, other) = (simulate(&short(3)), simulate(&short(3)), simulate(&short(4)));
    assert!(one == again, "two runs with one seed differ");
    assert_ne!(one.len(), 0);
    assert!(one != other, "two seeds make the same run");
}

#[test]
fn a_salt_makes_other_ids_and_no_other_run() {
    let salted = |salt| simulate(&Settings { salt, duration: Duration::from_secs(25), ..settings("", 0, 3) });
    let (plain, one, other) = (salted(0), salted(1), salted(2));
    let traces = |spans: &[SimSpan]| spans.iter().map(|span| span.trace_id).collect::<HashSet<_>>();
    let spans = |spans: &[SimSpan]| spans.iter().map(|span| span.span_id).collect::<HashSet<_>>();
    for (a, b) in [(&plain, &one), (&plain, &other), (&one, &other)] {
        assert!(traces(a).is_disjoint(&traces(b)) && spans(a).is_disjoint(&spans(b)), "runs share ids");
        assert_eq!((traces(a).len(), spans(a).len()), (traces(b).len(), spans(b).len()));
    }
    // The same spans at the same times, joined to each other in the same way.
    let shape = |all: &[SimSpan]| -> Vec<_> {
        let place: HashMap<_, _> = all.iter().enumerate().map(|(at, span)| (span.span_id, at)).collect();
        let of = |span: &SimSpan| {
            let parent = span.parent.map(|parent| place.get(&parent.span_id).copied());
            let links: Vec<_> = span.links.iter().map(|(_, id)| place.get(id).copied()).collect();
            (span.name.clone(), span.start, span.end, span.process.instance.clone(), parent, links)
        };
        all.iter().map(of).collect()
    };
    assert!(shape(&plain) == shape(&one) && shape(&one) == shape(&other), "a salt changes what happens");
}

#[test]
fn a_run_with_its_metrics_is_the_same_run() {
    let settings = Settings { duration: Duration::from_secs(20), ..settings("gc_pauses", 0, 3) };
    let mut alone = simulate(&settings);
    let signals = simulate_signals(&settings);
    let mut together = signals.spans;
    // Spans that end at the same time may come in either order.
    for spans in [&mut alone, &mut together] {
        spans.sort_by_key(|span| (span.end, span.span_id.to_bytes()));
    }
    assert!(alone == together);
}

#[test]
fn metrics_tell_of_the_pauses_of_a_collector_at_the_time_of_the_run() {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;

    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let signals = simulate_signals(&settings("gc_pauses", 0, 3));
    let truth = truth(&settings("gc_pauses", 0, 3)).expect("a fault of the shop");
    // Seconds of pauses by moment, over the instances.
    let mut paused: BTreeMap<u64, f64> = BTreeMap::new();
    for reading in signals.readings.iter().filter(|reading| reading.process.service == truth.service) {
        let export = reading.to_otlp(epoch);
        let metrics = export.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
        for metric in metrics.filter(|metric| metric.name == "jvm.gc.duration") {
            let Some(Data::Histogram(histogram)) = &metric.data else { panic!("a histogram") };
            for point in &histogram.data_points {
                *paused.entry(point.time_unix_nano).or_default() += point.sum.unwrap_or(0.0);
            }
        }
    }
    let at = |second: u64| paused.get(&((1_700_000_000 + second) * SECOND)).copied().unwrap_or(0.0);
    // A histogram is told from its first value on.
    let on_time = paused.keys().all(|at| at.is_multiple_of(5 * SECOND));
    assert!(on_time && paused.len() >= 10, "readings every five seconds: {paused:?}");
    // The step comes after 30 s; the sums are those since the start.
    let (before, after) = (at(30), at(75) - at(30));
    assert!(after / 45.0 > 0.2 && after / 45.0 > 4.0 * before / 30.0, "{before} s, then {after} s");
}

#[test]
fn logs_hold_a_line_for_each_exception_in_the_span_where_it_was() {
    let spans = simulate(&settings("exceptions_fast_fail", 0, 3));
    let thrown: HashSet<Vec<u8>> = spans
        .iter()
        .filter(|span| span.events.iter().any(|event| event.name == "exception"))
        .map(|span| span.span_id.to_bytes().to_vec())
        .collect();
    let exports = logs_to_otlp(&spans, SystemTime::UNIX_EPOCH);
    let records =
        exports.iter().flat_map(|e| &e.resource_logs).flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
    let errors: Vec<Vec<u8>> = records.filter(|r| r.severity_text == "ERROR").map(|r| r.span_id.clone()).collect();
    assert!(errors.len() > 100 && errors.len() == thrown.len(), "{} lines, {} exceptions", errors.len(), thrown.len());
    assert!(errors.iter().all(|id| thrown.contains(id)));
}

#[test]
fn a_request_makes_about_twelve_spans() {
    let spans = simulate(&settings("none", 0, 1));
    let requests = spans.iter().filter(|span| span.parent.is_none() && span.links.is_empty()).count();
    let per_request = spans.len() as f64 / requests as f64;
    assert!((11.0..15.0).contains(&per_request), "{per_request}");
    // 30 s at 20 a second and 45 s at 100 a second, within five standard deviations of a Poisson count.
    assert!((requests as f64 - 5_100.0).abs() < 5.0 * 5_100.0_f64.sqrt(), "{requests} requests");
}

#[test]
fn parents_and_children_fit_together() {
    let spans = simulate(&settings("none", 0, 2));
    let by_id: HashMap<_, _> = spans.iter().map(|span| ((span.trace_id, span.span_id), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "ids are unique");
    for span in &spans {
        assert!(span.start <= span.end);
        let Some(parent) = span.parent else {
            assert!(matches!(span.kind, SpanKind::Server | SpanKind::Consumer));
            continue;
        };
        let above = by_id[&(span.trace_id, parent.span_id)];
        assert!(above.start <= span.start && span.end <= above.end, "{} leaves {}", span.name, above.name);
        assert_eq!(parent.remote, above.process != span.process);
        assert_eq!(parent.remote, span.kind == SpanKind::Server);
    }
    for consumer in spans.iter().filter(|span| span.kind == SpanKind::Consumer) {
        let producer = by_id[&consumer.links[0]];
        assert_eq!(producer.kind, SpanKind::Producer);
        assert_ne!(producer.trace_id, consumer.trace_id);
        assert!(producer.start < consumer.start);
    }
}

#[test]
fn the_healthy_shop_is_never_half_busy() {
    let settings = Settings { duration: Duration::from_secs(60), ..settings("none", 0, 5) };
    let simulation = Simulation::new(&settings, settings.duration);
    simulation.run_until(60 * SECOND);
    for instance in simulation.world.instances.values().flatten() {
        for station in [&instance.workers, &instance.cpu].into_iter().chain(instance.pools().iter().map(|p| &p.1)) {
            let busy = station.busy() as f64 / (60 * SECOND) as f64 / station.permits() as f64;
            assert!(busy < 0.3, "{} is {busy} busy", instance.process.service);
        }
    }
}

#[test]
fn every_fault_shows_where_its_truth_says_and_only_after_the_step() {
    for (number, (fault, place)) in places().enumerate() {
        shows_at(fault, place, 1 + number as u64);
    }
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_shows_at_many_seeds() {
    for seed in 100..110 {
        places().for_each(|(fault, place)| shows_at(fault, place, seed));
    }
}

fn shows_at(fault: &Fault, place: usize, seed: u64) {
    let settings = settings(fault.name, place, seed);
    let truth = truth(&settings).expect("a known fault");
    let spans = simulate(&settings);
    let (base, peak) = base_and_peak(&spans);
    let total: f64 = base.own_time.values().sum();
    assert!(total < 90.0, "{} at {place}: {total} ms per request before the step", fault.name);
    shows(&truth, &base, &peak);
    names_no_fault(&spans);
}

pub fn shows(truth: &Truth, base: &Window, peak: &Window) {
    let key = (truth.service.clone(), truth.operation.clone());
    match truth.category.as_str() {
        "messaging" => assert!(peak.message_wait > 50.0 * base.message_wait.max(1.0), "{truth:?}"),
        "error" => {
            let errors = |window: &Window| window.errors.get(&key).copied().unwrap_or(0.0) / window.calls[&key];
            assert!(errors(base) < 0.05 && errors(peak) > 0.3, "{truth:?}");
        }
        "structure" => {
            let inside = |window: &Window| {
                let of_service = window.calls.iter().filter(|((service, _), _)| *service == truth.service);
                of_service.map(|(_, calls)| calls).sum::<f64>() / window.calls[&key]
            };
            let change = inside(peak) / inside(base);
            assert!(change < 0.9, "{truth:?}: spans per visit change by {change}");
            assert!(peak.own_time[&key] <= base.own_time[&key] + 0.5, "{truth:?}");
        }
        _ => {
            let rises = rises(&base.own_time, &peak.own_time);
            let (rise, first) = &rises[0];
            assert!(truth.names(&first.0, &first.1), "{rise} ms at {first:?}, not at {truth:?}");
            let named: f64 = rises.iter().filter(|(_, key)| truth.names(&key.0, &key.1)).map(|(rise, _)| rise).sum();
            assert!(named > 4.0, "{truth:?}: only {named} ms");
        }
    }
}

/// Fails when anything in the telemetry says that there is a fault, or that this is a simulation.
pub fn names_no_fault(spans: &[SimSpan]) {
    let mut words: Vec<_> = faults().iter().map(|fault| fault.name).collect();
    words.extend(["fault", "truth", "simulat", "hotspan"]);
    let texts: HashSet<String> = spans.iter().flat_map(texts).collect();
    for word in words {
        let found = texts.iter().find(|text| text.to_lowercase().contains(word));
        assert_eq!(found, None, "{word:?} is in a span");
    }
}

/// Everything readable in a span and its resource.
fn texts(span: &SimSpan) -> Vec<String> {
    let attributes = span.attributes.iter().chain(span.events.iter().flat_map(|event| &event.attributes));
    let mut texts: Vec<_> = attributes.map(|found| format!("{}={}", found.key, found.value)).collect();
    texts.extend([span.name.to_string(), format!("{:?}", span.status), format!("{:?}", span.process)]);
    texts
}

#[test]
fn without_a_fault_more_load_changes_nothing() {
    for seed in 1..=4 {
        let (base, peak) = base_and_peak(&simulate(&settings("none", 0, seed)));
        let (rise, key) = rises(&base.own_time, &peak.own_time).swap_remove(0);
        assert!(rise < 1.0, "seed {seed}: {rise} ms at {key:?}");
        assert!(peak.errors.values().all(|errors| *errors < 0.01));
    }
}

#[test]
fn a_confined_fault_is_confined() {
    for place in 0..3 {
        let settings = settings("one_bad_instance", place, 1);
        let truth = truth(&settings).expect("known");
        let bad = truth.instance.expect("an instance");
        let spans = simulate(&settings);
        let mean = |bad_one: bool| {
            let of = |s: &&SimSpan| s.process.service == truth.service && s.name == truth.operation.as_str();
            let chosen = spans.iter().filter(of).filter(|s| s.kind == SpanKind::Server && s.start > 40 * SECOND);
            let times: Vec<_> =
                chosen.filter(|s| (s.process.instance == bad) == bad_one).map(|s| s.duration()).collect();
            times.iter().sum::<Instant>() as f64 / times.len() as f64
        };
        assert!(mean(true) > 5.0 * mean(false), "place {place}: {} against {}", mean(true), mean(false));
    }
}

#[test]
fn the_truth_is_there_for_every_name() {
    assert!(truth(&settings("no such fault", 0, 1)).is_none());
    assert_eq!(truth(&settings("none", 0, 1)).expect("known").service, "");
    for (fault, place) in places() {
        let truth = truth(&settings(fault.name, place, 1)).expect("known");
        assert_eq!(truth.fault, fault.name);
        assert!(truth.allows_category(&truth.category) && truth.names(&truth.service, &truth.operation));
    }
    let chosen: HashSet<_> = (0..200).map(|seed| truth(&settings("", 0, seed)).expect("one").fault).collect();
    assert_eq!(chosen.len(), faults().len(), "seeds reach every fault");
}

#[test]
fn otlp_holds_every_span_by_process() {
    let spans = simulate(&Settings { duration: Duration::from_secs(5), ..settings("none", 0, 1) });
    let requests = to_otlp(&spans, std::time::UNIX_EPOCH + Duration::from_secs(1_000), 100);
    let mut ids = HashSet::new();
    for request in &requests {
        assert_eq!(request.resource_spans.len(), 1);
        for span in request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
            assert!(
                span.start_time_unix_nano >= 1_000 * SECOND && span.end_time_unix_nano >= span.start_time_unix_nano
            );
            ids.insert(span.span_id.clone());
        }
    }
    assert_eq!(ids.len(), spans.len());
}

/// The nearest thing to a table of the faults: run it with `--ignored --nocapture` when sizing one.
#[test]
#[ignore = "prints figures"]
fn figures() {
    for (fault, place) in places() {
        let settings = settings(fault.name, place, 1);
        let truth = truth(&settings).expect("known");
        let (base, peak) = base_and_peak(&simulate(&settings));
        let total = |window: &Window| window.own_time.values().sum::<f64>();
        println!("{} {place}: {:.0} -> {:.0} ms per request", fault.name, total(&base), total(&peak));
        for (rise, key) in rises(&base.own_time, &peak.own_time).iter().take(3) {
            let mark = if truth.names(&key.0, &key.1) { '*' } else { ' ' };
            println!("  {mark} {rise:8.1} {} {}", key.0, key.1);
        }
    }
}

/// M/M/c by Erlang's C formula against a station, and Little's law on the same run.
#[test]
fn a_station_waits_as_queueing_theory_says() {
    use rand::SeedableRng;
    use rand_distr::{Distribution, Exp};
    use std::cell::RefCell;
    use std::rc::Rc;
    const CUSTOMERS: usize = 200_000;
    for (servers, utilisation) in [(1, 0.5), (1, 0.8), (3, 0.8), (8, 0.9)] {
        let kernel = kernel::Kernel::default();
        let station = station::Station::new(&kernel, servers);
        let waits = Rc::new(RefCell::new(Vec::new()));
        let mut chance = rand::rngs::StdRng::seed_from_u64(11);
        let (arrivals, services) = (Exp::new(servers as f64 * utilisation), Exp::new(1.0));
        let (arrivals, services) = (arrivals.expect("positive"), services.expect("positive"));
        let (now, out, queue) = (kernel.clone(), waits.clone(), station.clone());
        kernel.spawn(async move {
            for _ in 0..CUSTOMERS {
                now.sleep((arrivals.sample(&mut chance) * 1e9) as Instant).await;
                let service = (services.sample(&mut chance) * 1e9) as Instant;
                let (clock, out, queue) = (now.clone(), out.clone(), queue.clone());
                now.spawn(async move {
                    let arrived = clock.now();
                    let _served = queue.acquire().await;
                    out.borrow_mut().push((clock.now() - arrived) as f64 / 1e9);
                    clock.sleep(service).await;
                });
            }
        });
        kernel.run_until(Instant::MAX / 2);
        let waits = waits.borrow();
        assert_eq!(waits.len(), CUSTOMERS);
        let mean = waits.iter().sum::<f64>() / CUSTOMERS as f64;
        let expected = erlang_c(servers, utilisation) / (servers as f64 * (1.0 - utilisation));
        assert!((mean / expected - 1.0).abs() < 0.1, "c={servers} rho={utilisation}: {mean} against {expected}");
        // The mean number in service is the arrival rate times the mean service time.
        let span = CUSTOMERS as f64 / (servers as f64 * utilisation);
        let in_service = station.busy() as f64 / 1e9 / span;
        assert!((in_service / (servers as f64 * utilisation) - 1.0).abs() < 0.03, "{in_service} in service");
    }
}

/// The probability that a customer waits.
fn erlang_c(servers: usize, utilisation: f64) -> f64 {
    let offered = servers as f64 * utilisation;
    let mut blocked = 1.0;
    for n in 1..=servers {
        blocked = offered * blocked / (n as f64 + offered * blocked);
    }
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_running_shop_exports_what_it_says_and_never_before_it_has_ended() {
    let sink = Sink::new(|_| Ok(0));
    let (address, _guard) = sink.serve().await;
    let settings = Settings {
        endpoint: format!("http://{address}"),
        base_rate: 60.0,
        duration: Duration::from_secs(1),
        ..settings("none", 0, 9)
    };
    let report = run(settings, CancellationToken::new()).await.expect("runs");
    let seen = sink.seen.lock().expect("no panic");
    let mut ids = HashSet::new();
    for (request, came) in &seen.traces {
        let came = came.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
        for span in request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
            assert!(span.end_time_unix_nano <= came, "{} came before it had ended", span.name);
            ids.insert(span.span_id.clone());
        }
    }
    assert_eq!(ids.len() as u64, report.spans);
    assert_eq!(report.export_errors, 0);
    assert!(report.requests > 0);
    assert!(!seen.metrics.is_empty() && !seen.logs.is_empty());
}

#[tokio::test]
async fn an_unknown_fault_is_told() {
    let result = run(settings("no such fault", 0, 1), CancellationToken::new()).await;
    assert!(matches!(result, Err(run::Error::UnknownFault(_))));
}
