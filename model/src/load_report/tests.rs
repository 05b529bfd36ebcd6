//! Files of `testdata/load-reports`, most of them made by hand with figures computed by hand; stages of logs with a known
//! load; and what is said about files that are wrong.

mod binary;
mod writer;

use std::path::Path;

use super::*;
use crate::time::{MILLISECOND, SECOND};

const BASE: Nanos = 1_700_000_000 * SECOND;
const NOON: Nanos = 1_794_398_400 * SECOND;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new("../testdata/load-reports").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn report(name: &str) -> LoadReport {
    read(&fixture(name)[..], None).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Requests, errors, rate in hundredths, and mean, median, p90, p95, p99 and longest in microseconds.
type Shown = (Option<u64>, Option<u64>, Option<i64>, [Option<i64>; 6]);

fn shown(figures: &Figures) -> Shown {
    let us = |ns: Option<Nanos>| ns.map(|ns| ns / 1_000);
    let times = [figures.mean_ns, figures.p50_ns, figures.p90_ns, figures.p95_ns, figures.p99_ns, figures.max_ns];
    let rate = figures.rate.map(|rate| (rate * 100.0).round() as i64);
    (figures.requests, figures.errors, rate, times.map(us))
}

fn ms(times: [i64; 6]) -> [Option<i64>; 6] {
    times.map(|ms| Some(ms * 1_000))
}

fn of<'a>(report: &'a LoadReport, name: &str) -> &'a Named {
    let named = &report.generator.named;
    named.iter().find(|n| n.name == name).unwrap_or_else(|| panic!("no {name:?} in {named:?}"))
}

/// Percentiles of a log are right to three digits.
fn assert_near(found: [Option<i64>; 6], expected: [Option<i64>; 6]) {
    let near =
        |(a, b): (&Option<i64>, &Option<i64>)| matches!((a, b), (Some(a), Some(b)) if (a - b).abs() * 1_000 <= *b);
    assert!(found.iter().zip(&expected).all(near), "{found:?} is not {expected:?}");
}

#[test]
fn a_summary_of_k6_has_its_own_figures_and_its_length() {
    let export = report("k6-summary-export.json");
    // 600 requests at 5 a second took two minutes.
    assert_eq!((export.start, export.end, export.duration), (None, None, Some(120 * SECOND)));
    let times = [Some(152_500), Some(120_000), Some(300_125), Some(450_000), None, Some(900_250)];
    assert_eq!(shown(&export.generator.total), (Some(600), Some(12), Some(500), times));
    let checkout = of(&export, "checkout");
    assert_eq!((checkout.what, checkout.figures.requests, checkout.figures.errors), (What::Request, Some(200), None));
    assert_eq!(checkout.figures.p95_ns, Some(600 * MILLISECOND));
    assert!(export.generator.notes[0].contains("p(99)"));

    let handled = report("k6-handle-summary.json");
    assert_eq!(handled.duration, Some(120_500_250_000));
    assert_eq!(handled.generator.total.p99_ns, Some(800_500_000));
    assert_eq!((of(&handled, "expected_response:true").what, handled.generator.notes.len()), (What::Selection, 0));
}

/// k6 itself showed 22 requests at 17.847 a second, 2 failed; avg 108.92 ms, med 71.14, p(90) 166.89, p(95) 173.44.
#[test]
fn a_structured_summary_of_k6_says_when_it_was_made() {
    let export = report("k6-structured.json");
    assert_eq!(export.end, crate::time::rfc3339("2026-11-28T16:15:51.190762929Z"));
    assert_eq!((export.start, export.duration), (None, Some(1_232_693_351)));
    assert_eq!(export.generator.version.as_deref(), Some("1.8.1"));
    let times = [Some(108_924), Some(71_143), Some(166_898), Some(173_441), None, Some(183_830)];
    assert_eq!(shown(&export.generator.total), (Some(22), Some(2), Some(1_785), times));
    let checkout = of(&export, "checkout");
    assert_eq!((checkout.what, checkout.figures.requests), (What::Request, None));
    assert_eq!(checkout.figures.p95_ns, Some(179_307_300));
    assert_eq!(of(&export, "expected_response:true").what, What::Selection);
    assert!(export.generator.notes[0].contains("p(99)") && export.generator.notes[1].contains("made the summary"));
    let times = export.times(None, None, None).expect("times");
    assert_eq!(times.end - times.start, 1_232_693_351);
    export.generator.validate().expect("may be kept");

    // Of the statistics that its test asked for, avg, med, max and p(99), three can be in it.
    let handled = report("k6-structured-handle-summary.json");
    let total = shown(&handled.generator.total);
    assert_eq!((total.0, total.1), (Some(22), Some(2)));
    assert_eq!(total.3.map(|time| time.is_some()), [true, true, false, false, false, true]);
}

#[test]
fn a_structured_summary_is_read_as_its_schema_has_it() {
    let script = "x".repeat(HEAD as usize);
    let summary = |version: &str, metrics: &str| {
        format!(
            r#"{{"config": {{"duration": 60.5, "execution": "local", "script": "{script}"}},
              "metadata": {{"generatedAt": "2026-11-11T12:00:00Z", "k6Version": "2.0.0"}},
              "results": {{"metrics": [{metrics}]}}, "version": "{version}"}}"#
        )
    };
    let metrics = r#"{"name": "http_reqs", "type": "counter", "values": {"count": 121}},
        {"name": "http_req_duration", "type": "trend", "values": {"avg": 10.5, "p(90)": 20, "p(95)": 30, "med": null}}"#;
    let report = read(summary("1.4.0", metrics).as_bytes(), None).expect("a summary");
    assert_eq!((report.end, report.duration), (Some(NOON), Some(60_500 * MILLISECOND)));
    assert_eq!(report.generator.version.as_deref(), Some("2.0.0"));
    let times = [Some(10_500), None, Some(20_000), Some(30_000), None, None];
    assert_eq!(shown(&report.generator.total), (Some(121), None, Some(200), times));
    let wrong = |version, metrics| read(summary(version, metrics).as_bytes(), None).expect_err("wrong").message;
    assert!(wrong("2.0.0", metrics).contains("version \"2.0.0\""));
    assert!(wrong("1.0.0", "7, null, {}").contains("no HTTP requests"));
}

#[test]
fn points_of_k6_are_counted_by_method_and_name() {
    let json = report("k6-points.json");
    assert_eq!(json.generator.format.as_deref(), Some("k6-json"));
    assert_eq!((json.start, json.end), (Some(NOON + SECOND), Some(NOON + 11 * SECOND)));
    let (requests, errors, rate, times) = shown(&json.generator.total);
    assert_eq!((requests, errors, rate), (Some(4), Some(1), Some(40)));
    assert_near(times, ms([250, 200, 400, 400, 400, 400]));
    let (requests, errors, rate, times) = shown(&of(&json, "POST order").figures);
    assert_eq!((requests, errors, rate), (Some(2), Some(1), Some(20)));
    assert_near(times, ms([350, 300, 400, 400, 400, 400]));
    assert_eq!(of(&json, "GET http://shop.test/cart").figures.errors, Some(0));

    let csv = report("k6-points.csv");
    assert_eq!(csv.generator.format.as_deref(), Some("k6-csv"));
    // Times are cut to seconds: the last request ended within the second after its time.
    assert_eq!((csv.start, csv.end), (Some(NOON + 900 * MILLISECOND), Some(NOON + 12 * SECOND)));
    assert_near(shown(&csv.generator.total).3, ms([250, 200, 400, 400, 400, 400]));
    assert_eq!(of(&csv, "POST order").figures.errors, Some(1));
}

#[test]
fn samples_of_jmeter_are_counted_without_transactions_and_parts() {
    for (name, format) in [("jmeter.csv", "jmeter-csv"), ("jmeter.xml", "jmeter-xml")] {
        let report = report(name);
        assert_eq!(report.generator.format.as_deref(), Some(format));
        assert_eq!((report.start, report.end), (Some(BASE), Some(BASE + 5 * SECOND)), "{name}");
        // 80, 120, 300 and 500 ms; 500 failed.
        let all = (Some(4), Some(1), Some(80), ms([250, 120, 500, 500, 500, 500]));
        assert_eq!(shown(&report.generator.total), all, "{name}");
        assert_eq!(shown(&of(&report, "Search").figures).0, Some(2));
        assert_eq!(of(&report, "Log in").figures.mean_ns, Some(100 * MILLISECOND));
        let flow = of(&report, "Flow");
        assert_eq!((flow.what, flow.figures.p50_ns), (What::Transaction, Some(420 * MILLISECOND)), "{name}");
        assert_eq!(report.generator.named.len(), 3, "{name}: parts of a request are not counted");
    }
    let tabs = String::from_utf8(fixture("jmeter.csv")).expect("text").lines().take(3).collect::<Vec<_>>().join("\n");
    let tabs = read(tabs.replace(',', ";").as_bytes(), None).expect("another delimiter");
    assert_eq!(tabs.generator.total.requests, Some(2));
}

#[test]
fn statistics_of_jmeter_are_taken_as_they_are() {
    let report = report("jmeter-statistics.json");
    assert_eq!((report.start, report.duration), (None, Some(120 * SECOND)));
    let times = [180_250, 150_000, 350_000, 480_000, 850_750, 1_200_000].map(Some);
    assert_eq!(shown(&report.generator.total), (Some(600), Some(9), Some(500), times));
    let names: Vec<&str> = report.generator.named.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["Search", "Log in"], "the most requests first");
}

#[test]
fn logs_of_three_generations_of_gatling_say_the_same() {
    for (name, version) in
        [("gatling-2.3.log", None), ("gatling-3.2.log", Some("3.2.1")), ("gatling-3.9.log", Some("3.9.5"))]
    {
        let report = report(name);
        assert_eq!(
            (report.name.as_deref(), report.generator.version.as_deref()),
            (Some("checkout"), version),
            "{name}"
        );
        assert_eq!((report.start, report.end), (Some(BASE), Some(BASE + 4_100 * MILLISECOND)), "{name}");
        // 100, 250 and 3000 ms in 4.1 s; the last failed.
        let (requests, errors, rate, times) = shown(&report.generator.total);
        assert_eq!((requests, errors, rate), (Some(3), Some(1), Some(73)), "{name}");
        assert_eq!(times[1..], ms([0, 250, 3_000, 3_000, 3_000, 3_000])[1..], "{name}");
        assert_eq!(times[0], Some(1_116_666), "{name}");
        assert_eq!(of(&report, "cart / items / Add").figures.requests, Some(1), "{name}");
        assert!(report.marks.is_empty(), "{name}");
    }
}

#[test]
fn statistics_of_gatling_are_read_as_numbers_and_as_text() {
    for name in ["gatling-stats.json", "gatling-global-stats.json"] {
        let report = report(name);
        assert_eq!((report.start, report.duration), (None, Some(100 * SECOND)), "{name}");
        let times = [Some(90_000), Some(70_000), None, Some(220_000), Some(450_000), Some(900_000)];
        assert_eq!(shown(&report.generator.total), (Some(300), Some(6), Some(300), times), "{name}");
    }
    let report = report("gatling-stats.json");
    assert_eq!(of(&report, "cart / Add").figures.errors, Some(6));
    assert_eq!(of(&report, "Home").figures.p99_ns, Some(180 * MILLISECOND));
}

/// A JTL of one sample per second, with so many threads in each of them.
fn threads(by_second: impl IntoIterator<Item = u64>) -> LoadReport {
    let mut log = "timeStamp,elapsed,label,success,threadName,allThreads\n".to_owned();
    for (second, threads) in by_second.into_iter().enumerate() {
        let at = BASE / MILLISECOND + second as i64 * 1_000;
        log.push_str(&format!("{at},10,Home,true,Buyers 1-1,{threads}\n"));
    }
    read(log.as_bytes(), None).expect("a log")
}

fn marks(report: &LoadReport) -> Vec<(i64, &str)> {
    let start = report.start.expect("a start");
    report.marks.iter().map(|mark| ((mark.at - start) / SECOND, mark.name.as_str())).collect()
}

#[test]
fn steps_of_threads_are_stages_and_slopes_are_none() {
    let stay = |threads: u64, seconds: usize| std::iter::repeat_n(threads, seconds);
    let steps = threads(stay(10, 60).chain(stay(20, 60)).chain(stay(10, 60)));
    assert_eq!(marks(&steps), [(0, "10-threads"), (60, "20-threads"), (120, "10-threads-2")]);
    let ramped = threads(stay(10, 60).chain(11..=39).chain(stay(40, 60)).chain((1..40).rev()));
    assert_eq!(marks(&ramped), [(0, "10-threads"), (60, "ramp"), (89, "40-threads"), (149, "ramp-2")]);
    assert_eq!(marks(&threads(stay(10, 60))), [], "one level is no stage");
    assert_eq!(marks(&threads(1..=100)), [], "a slope has no stages");
    let blip = threads(stay(10, 60).chain([9]).chain(stay(10, 60)).chain(stay(20, 60)));
    assert_eq!(marks(&blip), [(0, "10-threads"), (121, "20-threads")]);
}

#[test]
fn threads_of_several_machines_are_not_mistaken_for_all() {
    let mut log = "timeStamp,elapsed,label,success,threadName,allThreads\n".to_owned();
    for second in 0..120 {
        let at = BASE / MILLISECOND + second * 1_000;
        let threads = if second < 60 { 10 } else { 20 };
        log.push_str(&format!("{at},10,Home,true,10.0.0.{}-Buyers 1-1,{threads}\n", second % 2 + 1));
    }
    assert!(read(log.as_bytes(), None).expect("a log").marks.is_empty());
}

#[test]
fn scenarios_are_stages_when_they_follow_each_other() {
    let log = |second: i64| {
        let at = |ms: i64| BASE / MILLISECOND + ms;
        format!(
            "RUN\tshop.Load\tload\t{}\t \t3.9.5\nUSER\tbrowse\tSTART\t{}\nREQUEST\t\tHome\t{}\t{}\tOK\t \n\
             USER\tbrowse\tEND\t{}\nUSER\tbuy\tSTART\t{}\nREQUEST\t\tHome\t{}\t{}\tOK\t \nUSER\tbuy\tEND\t{}\n",
            at(0),
            at(0),
            at(100),
            at(200),
            at(10_000),
            at(second),
            at(second + 10),
            at(second + 20),
            at(second + 9_000),
        )
    };
    let follow = read(log(11_000).as_bytes(), None).expect("a log");
    assert_eq!(marks(&follow), [(0, "browse"), (11, "buy")]);
    let beside = read(log(9_000).as_bytes(), None).expect("a log");
    assert_eq!(marks(&beside), [], "scenarios at the same time are no stages");
}

#[test]
fn many_names_are_counted_in_bounded_memory_and_the_commonest_kept() {
    let mut log = "timeStamp,elapsed,label,success\n".to_owned();
    for number in 0..3_000 {
        let at = BASE / MILLISECOND + number;
        log.push_str(&format!("{at},10,/item/{number},true\n{at},20,/cart,true\n"));
    }
    let report = read(log.as_bytes(), None).expect("a log");
    assert_eq!(report.generator.total.requests, Some(6_000));
    assert_eq!(report.generator.named.len(), MOST_NAMED);
    assert_eq!(
        (report.generator.named[0].name.as_str(), report.generator.named[0].figures.requests),
        ("/cart", Some(3_000))
    );
    assert!(report.generator.notes[0].contains("200"), "{:?}", report.generator.notes);
    report.generator.validate().expect("may be kept");
}

#[test]
fn times_that_are_given_win_and_what_is_missing_is_asked_for() {
    let export = report("k6-summary-export.json");
    let times = |start, end, modified| export.times(start, end, modified).map(|t| (t.start, t.end, t.note.is_some()));
    let written = BASE + 500 * SECOND;
    assert_eq!(times(None, None, Some(written)).expect("written"), (written - 120 * SECOND, written, true));
    assert_eq!(times(None, Some(BASE), Some(written)).expect("an end"), (BASE - 120 * SECOND, BASE, false));
    assert_eq!(times(Some(BASE), None, Some(written)).expect("a start"), (BASE, BASE + 120 * SECOND, false));
    assert!(times(None, None, None).expect_err("no time").message.contains("ended"));
    assert!(times(Some(BASE), Some(BASE), None).expect_err("no length").message.contains("before it begins"));
    let lengthless = LoadReport { duration: None, ..export.clone() };
    let error = lengthless.times(None, None, Some(written)).expect_err("no start");
    assert!(error.hint.is_some_and(|hint| hint.contains("--start")), "{}", error.message);

    let log = report("jmeter.csv");
    let narrowed = log.times(Some(BASE + SECOND), None, Some(written)).expect("the log has an end");
    assert_eq!((narrowed.start, narrowed.end, &narrowed.note), (BASE + SECOND, BASE + 5 * SECOND, &None));
    let early = LoadReport { marks: vec![Mark { at: BASE, name: "early".into() }], ..log };
    assert!(early.marks_within(&narrowed).is_empty());
}

#[test]
fn wrong_files_say_what_is_wrong() {
    let cases: [(&[u8], &str); 20] = [
        (b"timeStamp,elapsed,label,success\n9999999999999,10,Home,true\n", "not a time"),
        (b"\0\0\0\0\x063.13.1\0\0", "within its first record"),
        (b"timeStamp,elapsed,label,success\n1700000000000,9223372036854775807,Home,true\n", "is no time"),
        (b"metric_name,timestamp,metric_value\nhttp_reqs,9999999999,1\n", "not a time"),
        (b"", "nothing in the file"),
        (b" \n\n", "nothing in the file"),
        (b"\0\0\0\x06\x003.13.1\0\0", "binary"),
        (b"hello\nworld\n", "none that can be imported"),
        (b"<html><body/></html>", "none that can be imported"),
        (b"[1, 2]", "none that can be imported"),
        (b"1700000000000,120,Log in,200,OK\n", "without a line that names the columns"),
        (b"var stats = {\n type: \"GROUP\"", "JavaScript"),
        (b"{\"metrics\": {\"http_reqs\": {\"count\": 5", "cut"),
        (b"{\"metrics\": {\"iterations\": {\"count\": 5, \"rate\": 1}}}", "no HTTP requests"),
        (b"{\"Total\": {\"sampleCount\": 0}}", "no samples"),
        (b"timeStamp,elapsed,label,success\n", "no requests"),
        (b"timeStamp,elapsed,label,success\n2023/11/14 22:13:20,10,Home,true\n", "not a time"),
        (b"timeStamp,elapsed,label,success\n1700000000000,-4,Home,true\n1700000000000,4,Home,true\n", "line 2"),
        (b"RUN\tshop.Load\tload\t1700000000000\t \t3.9.5\nREQUEST\t\tHome\t1700000002000\t1700000001000\tOK\t \n\n\nUSER\tbuy\tEND\t1700000003000\n", "ends before it starts"),
        (b"RUN\tshop.Load\tload\t1700000000000\t \t3.9.5\n", "no requests"),
    ];
    for (bytes, words) in cases {
        let error = read(bytes, None).expect_err(words);
        assert!(error.message.contains(words), "{words:?} is not in {:?}", error.message);
    }
    let binary = read(&b"\0\0"[..], None).expect_err("binary");
    assert!(binary.hint.is_some_and(|hint| hint.contains("UTF-8")));
    let other = read(&fixture("jmeter.csv")[..], Some(find("k6-summary").expect("a kind"))).expect_err("another kind");
    assert!(other.message.contains("not JSON"), "{}", other.message);
    assert!(find("locust").err().is_some_and(|e| e.hint.is_some_and(|hint| hint.contains("gatling-stats"))));
}

#[test]
fn a_log_that_is_cut_counts_up_to_there_and_says_so() {
    for name in ["k6-points.json", "k6-points.csv", "jmeter.csv", "jmeter.xml", "gatling-3.9.log"] {
        let whole = fixture(name);
        for end in 0..whole.len() {
            // Never a panic; and what is read is not more than there is.
            if let Ok(cut) = read(&whole[..end], None) {
                assert!(cut.generator.total.requests <= Some(4), "{name} cut at {end}");
            }
        }
    }
    for (name, left_off, requests) in [("jmeter.csv", 60, 3), ("jmeter.xml", 20, 4), ("gatling-3.9.log", 20, 3)] {
        let whole = fixture(name);
        let cut = read(&whole[..whole.len() - left_off], None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(cut.generator.total.requests, Some(requests), "{name}");
        assert!(cut.generator.notes.iter().any(|note| note.contains("cut") || note.contains("middle")), "{name}");
    }
}

#[test]
fn figures_that_cannot_be_are_not_kept() {
    let generator = report("jmeter.csv").generator;
    generator.validate().expect("may be kept");
    let total = Figures { requests: Some(3), errors: Some(4), ..Figures::default() };
    assert!(Generator { total, ..generator.clone() }.validate().is_err());
    let total = Figures { p50_ns: Some(-1), ..Figures::default() };
    assert!(Generator { total, ..generator.clone() }.validate().is_err());
    let named = vec![generator.named[0].clone(); MOST_NAMED + 1];
    assert!(Generator { named, ..generator.clone() }.validate().is_err());
    assert!(Generator { tool: String::new(), ..generator }.validate().is_err());
}
