//! The generator against an independent reading of its bytes, and against a server that refuses some.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::body::{Bodies, Buffers};
use super::layout::MOST_SPANS_PER_TRACE;
use super::schedule::Schedule;
use super::*;
use crate::sink::Sink;

const EPOCH: u64 = 1_800_000_000_000_000_000;

fn decode(bytes: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(bytes).expect("valid protobuf")
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<&Span> {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect()
}

fn written(generator: &Generator, export: u64) -> Bytes {
    let mut bytes = BytesMut::new();
    generator.write(export, &mut bytes);
    bytes.freeze()
}

/// The text of an attribute, or nothing.
fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn small() -> Settings {
    Settings { spans_per_export: 40, ..Settings::default() }
}

#[test]
fn every_export_decodes_to_the_ids_that_the_layout_states() {
    let settings = small();
    let (generator, layout) = (Generator::new(&settings, EPOCH), settings.layout());
    let mut all = HashSet::new();
    for export in [0, 1, 5, 11, 12, 23, 1_000_003] {
        let request = decode(&written(&generator, export));
        let spans = spans(&request);
        assert_eq!(spans.len(), settings.spans_per_export);
        for (index, span) in spans.iter().enumerate() {
            let (trace, id) = layout.ids(export, index);
            assert_eq!((span.trace_id.as_slice(), span.span_id.as_slice()), (&trace[..], &id[..]));
            assert!(all.insert((trace, id)), "export {export} index {index} repeats an id");
        }
    }
}

#[test]
fn an_export_is_what_prost_would_encode() {
    for spans_per_export in [1, 10, 490, 5_000] {
        let settings = Settings { spans_per_export, ..Settings::default() };
        let generator = Generator::new(&settings, EPOCH);
        for export in [0, 7, 11, 40] {
            let bytes = written(&generator, export);
            let request = decode(&bytes);
            assert_eq!(spans(&request).len(), spans_per_export);
            assert_eq!(request.encode_to_vec(), bytes);
        }
    }
}

#[test]
fn the_layout_counts_the_spans_of_each_trace_of_an_export() {
    for (spans_per_trace, spans_per_export) in [(1, 1), (12, 1), (12, 40), (12, 490), (5, 7), (30, 40), (100, 10)] {
        let settings = Settings { spans_per_trace, spans_per_export, ..Settings::default() };
        let (generator, layout) = (Generator::new(&settings, EPOCH), settings.layout());
        for export in (0..2 * spans_per_trace as u64).chain([1_000_003]) {
            let request = decode(&written(&generator, export));
            let mut counts: Vec<(&[u8], u64)> = Vec::new();
            for span in spans(&request) {
                match counts.last_mut() {
                    Some((trace, count)) if *trace == span.trace_id.as_slice() => *count += 1,
                    _ => counts.push((&span.trace_id, 1)),
                }
            }
            let stated = layout.traces(export);
            let stated: Vec<(&[u8], u64)> = stated.iter().map(|(id, count)| (id.as_slice(), *count)).collect();
            assert_eq!(stated, counts, "export {export} of {spans_per_export}, {spans_per_trace} a trace");
        }
    }
}

#[test]
fn a_block_of_exports_holds_complete_traces() {
    for spans_per_trace in [1, 5, 12, 30, MOST_SPANS_PER_TRACE] {
        let settings = Settings { spans_per_trace, ..small() };
        let generator = Generator::new(&settings, EPOCH);
        let block = 3 * spans_per_trace as u64..4 * spans_per_trace as u64;
        let requests: Vec<_> = block.map(|export| decode(&written(&generator, export))).collect();
        let mut traces: HashMap<&[u8], HashMap<&[u8], &Span>> = HashMap::new();
        for span in requests.iter().flat_map(spans) {
            traces.entry(&span.trace_id).or_default().insert(&span.span_id, span);
        }
        assert_eq!(traces.len(), settings.spans_per_export);
        for spans in traces.values() {
            assert_eq!(spans.len(), spans_per_trace);
            let roots = spans.values().filter(|span| span.parent_span_id.is_empty()).count();
            assert_eq!(roots, 1);
            for span in spans.values().filter(|span| !span.parent_span_id.is_empty()) {
                let parent = spans[span.parent_span_id.as_slice()];
                assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
                assert!(span.start_time_unix_nano < span.end_time_unix_nano);
                assert!(span.end_time_unix_nano <= parent.end_time_unix_nano);
            }
        }
    }
}

#[test]
fn after_a_while_the_stock_takes_four_times_as_long_and_all_that_wait_for_it_as_much_longer() {
    let usual = Settings::default();
    let slow_after = Some(usual.duration / 2);
    let settings = Settings { slow_after, ..usual.clone() };
    let (usual, slowed) = (Generator::new(&usual, EPOCH), Generator::new(&settings, EPOCH));
    let block = |number: u64| 12 * number..12 * (number + 1);
    for (exports, is_slow) in [(block(0), false), (block(usual.schedule().exports() / 12 - 1), true)] {
        for export in exports {
            let [before, after] = [&usual, &slowed].map(|generator| decode(&written(generator, export)));
            for (before, after) in spans(&before).into_iter().zip(spans(&after)) {
                assert_eq!(
                    (&before.span_id, before.start_time_unix_nano),
                    (&after.span_id, after.start_time_unix_nano)
                );
                let [before, now] = [before, after].map(|span| span.end_time_unix_nano - span.start_time_unix_nano);
                let ratio = now as f64 / before as f64;
                let waits = |name: &str| ["inventory.", "GET", "POST"].iter().any(|part| name.starts_with(part));
                match after.name.as_str() {
                    _ if !is_slow => assert_eq!(ratio, 1.0),
                    "SELECT stock" => assert!((3.9..5.0).contains(&ratio), "{ratio}"),
                    name if waits(name) && name != "GET /catalog/products/{id}" => {
                        assert!(ratio > 1.25, "{name} {ratio}")
                    }
                    name => assert_eq!(ratio, 1.0, "{name}"),
                }
            }
        }
    }
    let few = Settings { spans_per_trace: 5, ..settings.clone() };
    let late = Settings { slow_after: Some(settings.duration), ..settings.clone() };
    let flat_out = Settings { rate: 0.0, ..settings.clone() };
    assert_eq!(
        [few, late, flat_out, settings].map(|settings| settings.validate().is_ok()),
        [false, false, false, true]
    );
}

#[test]
fn spans_are_like_real_ones() {
    let generator = Generator::new(&Settings::default(), EPOCH);
    let (mut bytes, mut users, mut durations, mut instances) = (0, HashSet::new(), HashSet::new(), HashSet::new());
    let mut paths = HashSet::new();
    const EXPORTS: u64 = 12 * 12;
    for export in 0..EXPORTS {
        let encoded = written(&generator, export);
        bytes += encoded.len();
        let request = decode(&encoded);
        instances.extend(request.resource_spans[0].resource.clone().map(|resource| resource.encode_to_vec()));
        if export >= 12 {
            continue;
        }
        for span in spans(&request) {
            users.extend(attribute(span, "user.id"));
            paths.extend(attribute(span, "url.path"));
            durations.insert(span.end_time_unix_nano - span.start_time_unix_nano);
            let texts = span.attributes.iter().filter_map(|a| attribute(span, &a.key));
            for text in texts {
                assert!(!text.contains(['~', '^', '`', '|']), "{text:?} was left as it stood in the template");
            }
            if let Some(address) = attribute(span, "client.address") {
                assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
            }
        }
    }
    let per_span = bytes / (EXPORTS as usize * 490);
    assert!((360..=400).contains(&per_span), "{per_span} bytes per span");
    assert_eq!(instances.len(), 48);
    assert!(users.len() > 480, "{} users in 490 traces", users.len());
    assert!(paths.len() > 200, "{} paths in 490 traces", paths.len());
    assert!(durations.len() > 5_000, "{} durations of {}", durations.len(), 12 * 490);
}

#[test]
fn spans_end_before_their_export_is_due() {
    let settings = Settings { rate: 2_000.0, ..Settings::default() };
    let generator = Generator::new(&settings, EPOCH);
    for export in 0..36 {
        let due = EPOCH + generator.schedule().due(export).as_nanos() as u64;
        let request = decode(&written(&generator, export));
        assert!(spans(&request).iter().all(|span| span.end_time_unix_nano < due));
    }
}

#[test]
fn the_schedule_follows_the_steps() {
    let step = |rate, seconds| Step { rate, duration: Duration::from_secs(seconds) };
    let steps = vec![step(100.0, 10), step(1_000.0, 5)];
    let settings = Settings { steps, spans_per_trace: 10, spans_per_export: 100, ..Settings::default() };
    let schedule = Schedule::new(&settings);
    // 10 exports a second for 10 s, then 100 a second for 5 s.
    assert_eq!(schedule.exports(), 600);
    assert_eq!(schedule.due(50), Duration::from_secs(5));
    assert_eq!(schedule.due(100), Duration::from_secs(10));
    assert_eq!(schedule.due(350), Duration::from_millis(12_500));
    assert_eq!((schedule.level_of(99), schedule.level_of(100)), (0, 1));
    let before = |seconds| schedule.due_before(Duration::from_secs(seconds));
    assert_eq!([before(0), before(1), before(10), before(11), before(15), before(99)], [0, 10, 100, 200, 600, 600]);
}

#[test]
fn a_low_load_is_sent_in_exports_that_hold_every_trace_of_it() {
    let at = |rate, millis| Settings { rate, duration: Duration::from_millis(millis), ..Settings::default() };
    for (rate, millis, traces) in [(3.0, 4_000, 12), (0.5, 10_000, 5), (40.0, 2_000, 80), (100.0, 100, 10)] {
        let generator = Generator::new(&at(rate, millis), EPOCH);
        let mut spans_of: HashMap<Vec<u8>, usize> = HashMap::new();
        for export in 0..generator.schedule().exports() {
            for span in spans(&decode(&written(&generator, export))) {
                *spans_of.entry(span.trace_id.clone()).or_default() += 1;
            }
        }
        assert_eq!(spans_of.len(), traces, "{rate} a second for {millis} ms");
        assert!(spans_of.values().all(|spans| *spans == 12), "{rate} a second for {millis} ms: {spans_of:?}");
    }
    assert_eq!((at(41.0, 1_000).export_spans(), at(0.0, 1_000).export_spans()), (490, 490));
    let step = |rate| Step { rate, duration: Duration::from_secs(10) };
    let steps = |rates: &[f64]| Settings { steps: rates.iter().copied().map(step).collect(), ..Settings::default() };
    assert_eq!([steps(&[5.0, 2.0]).export_spans(), steps(&[5.0, 1_000.0]).export_spans()], [2, 490]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_at_a_low_rate_sends_what_is_due() {
    let sink = Sink::new(|_| Ok(0));
    let (address, _guard) = sink.serve().await;
    let settings = Settings {
        endpoint: format!("http://{address}"),
        rate: 3.0,
        duration: Duration::from_secs(1),
        ..Settings::default()
    };
    let report = run(settings.clone(), CancellationToken::new()).await.expect("runs");
    assert_eq!((report.asked, report.totals.sent, report.totals.accepted, report.unsent), (36, 36, 36, 0));
    let nothing = Settings { rate: 0.001, ..settings };
    let error = run(nothing, CancellationToken::new()).await.expect_err("refused");
    assert!(error.to_string().contains("less than one span"), "{error}");
}

/// 60 exports of 40 spans at once.
fn burst(endpoint: String) -> Settings {
    let steps = vec![Step { rate: 200.0, duration: Duration::from_secs(1) }];
    Settings { endpoint, steps, retry: true, ..small() }
}

/// Each third call is told to come again, in one of three ways; call 4 is refused for good; call 5 is taken in part.
fn moody(call: usize) -> Result<i64, Status> {
    match call {
        4 => Err(Status::invalid_argument("no")),
        5 => Ok(7),
        _ if call.is_multiple_of(9) => Err(Status::unavailable("later")),
        _ if call % 9 == 3 => {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(30)));
            Err(Status::with_error_details(Code::ResourceExhausted, "full", details))
        }
        _ if call % 9 == 6 => Err(Status::aborted("again")),
        _ => Ok(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_exports_come_again_with_the_same_bytes_and_all_is_accounted_for() {
    let sink = Sink::new(moody);
    let (address, _guard) = sink.serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (ids_file, csv) = (folder.path().join("ids"), folder.path().join("csv"));
    let (ids, seconds) = (Some(ids_file.clone()), Some(csv.clone()));
    let settings = Settings { ids_file: ids, csv: seconds, ..burst(format!("http://{address}")) };
    let report = run(settings.clone(), CancellationToken::new()).await.expect("runs");

    let totals = report.totals;
    assert_eq!(totals.exports, 60);
    assert_eq!(totals.sent, 60 * 40);
    assert_eq!(totals.failed, 40);
    assert_eq!(totals.rejected, 7);
    assert_eq!(totals.refused, 0);
    assert_eq!(totals.accepted, totals.sent - 40 - 7);
    let seen = sink.seen.lock().expect("no panic");
    assert_eq!(totals.refusals as usize, seen.refused.len() - 1);
    assert!(totals.accepted_later > 0);
    assert_eq!(report.steps[0].totals, totals);
    let taken: HashSet<_> = seen.traces.iter().map(|(request, _)| request.encode_to_vec()).collect();
    let refused: HashSet<_> = seen.refused.iter().map(|request| request.encode_to_vec()).collect();
    assert_eq!(refused.difference(&taken).count(), 1, "all but the one refused for good were taken later");

    // What the ids file states, against what the server took whole.
    let mut stated: HashMap<u128, u64> = HashMap::new();
    let acknowledged = Acknowledged::read(&ids_file).expect("reads");
    assert_eq!(acknowledged.iter().filter(|line| line.rejected > 0).map(|line| line.spans).sum::<u64>(), 40);
    for line in &acknowledged {
        *stated.entry(line.trace_id).or_default() += line.spans;
    }
    let mut found: HashMap<u128, u64> = HashMap::new();
    for span in seen.traces.iter().flat_map(|(request, _)| spans(request)) {
        let id = span.trace_id.as_slice().try_into().expect("16 bytes");
        *found.entry(u128::from_be_bytes(id)).or_default() += 1;
    }
    assert_eq!(stated, found);

    // The seconds add up to the whole.
    let table = std::fs::read_to_string(csv).expect("reads");
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name: &str| names.iter().position(|other| *other == name).expect("a column");
    let lines: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|field| field.parse().expect("a number")).collect()).collect();
    let sum = |name| lines.iter().map(|line| line[column(name)]).sum::<f64>() as u64;
    assert_eq!([sum("asked"), sum("sent"), sum("accepted")], [2_400, 2_400, totals.accepted]);
    assert_eq!([sum("rejected"), sum("failed"), sum("refusals")], [7, 40, totals.refusals]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_retry_what_is_refused_stays_refused() {
    let sink = Sink::new(|call| if call.is_multiple_of(3) { Err(Status::unavailable("later")) } else { Ok(0) });
    let (address, _guard) = sink.serve().await;
    let settings = Settings { retry: false, ..burst(format!("http://{address}")) };
    let report = run(settings, CancellationToken::new()).await.expect("runs");
    assert_eq!(report.totals.refused, 20 * 40);
    assert_eq!(report.totals.accepted, 40 * 40);
    assert_eq!(report.totals.refusals, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listening_is_told_and_duplicates_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let endpoint = format!("http://{address}");
        let settings = Settings { protocol, patience: Duration::from_millis(100), ..burst(endpoint) };
        let report = run(settings, CancellationToken::new()).await.expect("runs");
        assert_eq!(report.totals.failed, 60 * 40);
        assert_eq!(report.totals.possible_duplicates, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_used() {
    let sink = Sink::new(|_| Ok(0));
    let (address, _guard) = sink.serve().await;
    let settings = Settings { connections: 16, ..burst(format!("http://{address}")) };
    let report = run(settings, CancellationToken::new()).await.expect("runs");
    assert_eq!(report.totals.accepted, 60 * 40);
    let peers: HashSet<_> = sink.seen.lock().expect("no panic").peers.iter().copied().collect();
    assert_eq!(peers.len(), 16);
}

#[test]
fn requests_made_ahead_are_those_that_would_be_made() {
    for (protocol, encoding) in [(Protocol::Grpc, Encoding::Zstd), (Protocol::Http, Encoding::Gzip)] {
        let settings = Settings { protocol, encoding, ..small() };
        let mut ahead = Bodies::new(Generator::new(&settings, EPOCH), &settings);
        ahead.prepare(5).expect("made");
        assert_eq!(ahead.prepared(), 5);
        let now = Bodies::new(Generator::new(&settings, EPOCH), &settings);
        let (mut one, mut other) = (Buffers::default(), Buffers::default());
        for export in 0..7 {
            assert_eq!(ahead.of(export, &mut one).expect("made"), now.of(export, &mut other).expect("made"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_takes_anything_costs_everything_but_ends() {
    let sink = Sink::new(|_| Err(Status::unavailable("later")));
    let (address, _guard) = sink.serve().await;
    let settings =
        Settings { patience: Duration::from_millis(200), retry_queue: 8, ..burst(format!("http://{address}")) };
    let report = run(settings, CancellationToken::new()).await.expect("runs");
    assert_eq!(report.totals.refused, report.totals.sent);
    assert_eq!(report.totals.accepted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_exports_arrive_whole() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let sink = Sink::new(|_| Ok(0));
        let (address, _guard) = sink.serve().await;
        let settings = Settings { encoding, ..burst(format!("http://{address}")) };
        let report = run(settings, CancellationToken::new()).await.expect("runs");
        assert_eq!(report.totals.accepted, 60 * 40);
        let seen = sink.seen.lock().expect("no panic");
        let ids: HashSet<_> = seen.traces.iter().flat_map(|(r, _)| spans(r)).map(|s| &s.span_id).collect();
        assert_eq!(ids.len(), 60 * 40);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_posts_the_same_bytes_and_heeds_retry_after() {
    let (address, answers) = http_server(vec![
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ])
    .await;
    let steps = vec![Step { rate: 10.0, duration: Duration::from_secs(1) }];
    let settings = Settings {
        endpoint: format!("http://{address}"),
        protocol: Protocol::Http,
        steps,
        connections: 1,
        retry: true,
        ..small()
    };
    let report = run(settings, CancellationToken::new()).await.expect("runs");
    // Three exports: refused then taken, failed, taken.
    assert_eq!(report.totals.exports, 3);
    assert_eq!((report.totals.accepted, report.totals.failed), (80, 40));
    assert_eq!(report.totals.accepted_later, 40);
    let bodies = answers.await.expect("ended");
    assert_eq!(spans(&decode(&bodies[0])).len(), 40);
    assert_eq!(bodies[0], bodies[1]);
}

/// Answers one request after the other on one connection, and returns the bodies.
async fn http_server(answers: Vec<&'static str>) -> (std::net::SocketAddr, tokio::task::JoinHandle<Vec<Vec<u8>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut bodies = Vec::new();
        for answer in answers {
            bodies.push(read_body(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.expect("a listening client");
        }
        bodies
    });
    (address, served)
}

async fn read_body(stream: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request"));
    }
    let head = String::from_utf8(head).expect("text").to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("the body");
    body
}

#[tokio::test]
async fn wrong_settings_are_told() {
    let zero = Settings { spans_per_export: 0, ..Settings::default() };
    assert!(matches!(run(zero, CancellationToken::new()).await, Err(Error::Settings(_))));
    let nowhere = Settings { endpoint: "not an address".to_owned(), ..Settings::default() };
    assert!(matches!(run(nowhere, CancellationToken::new()).await, Err(Error::Endpoint { .. })));
}
