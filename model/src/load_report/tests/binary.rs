//! Gatling's binary log: files that Gatling wrote, with the figures that its own report gave; files by our writer, which
//! writes the same; files that are cut at every byte, changed at every byte, or wrong on purpose.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::writer::Writer;
use super::*;

const START: i64 = 1_700_000_000_000;

fn log() -> Writer {
    Writer::run("3.16.0", "shop.Checkout", START, "", &["browse", "buy"])
}

fn read_log(log: &Writer) -> LoadReport {
    read(&log.bytes[..], None).unwrap_or_else(|e| panic!("{e}"))
}

/// Of each version: the start, in milliseconds the last time, the sum of the times, the median and the longest. Numbers,
/// mean and longest are those of Gatling's report (which 3.13.0 could not make); the rest was taken from the files by a
/// second program.
const WRITTEN: [(&str, i64, i64, i64, i64, i64); 5] = [
    ("3.13.0", 1_795_882_468_408, 4_940, 4_828, 238, 595),
    ("3.13.5", 1_795_882_486_977, 3_380, 2_234, 123, 361),
    ("3.14.9", 1_795_882_505_622, 3_959, 2_358, 122, 452),
    ("3.15.1", 1_795_882_522_102, 4_234, 1_410, 122, 159),
    ("3.16.0", 1_795_882_534_715, 2_557, 1_501, 114, 214),
];

#[test]
fn logs_of_each_version_have_the_figures_of_gatlings_own_report() {
    for (version, start, last, sum, median, longest) in WRITTEN {
        let name = format!("gatling-{version}.log");
        let report = report(&name);
        assert_eq!(report.generator.format.as_deref(), Some("gatling-log"));
        assert_eq!(
            (report.name.as_deref(), report.generator.version.as_deref()),
            (Some("Checkout"), Some(version)),
            "{name}"
        );
        let at = |ms: i64| Some((start + ms) * MILLISECOND);
        assert_eq!((report.start, report.end), (at(0), at(last)), "{name}");
        let (requests, errors, _, times) = shown(&report.generator.total);
        assert_eq!((requests, errors), (Some(16), Some(4)), "{name}");
        let longest = longest * 1_000;
        assert_eq!(
            times,
            [Some(sum * 1_000 / 16), Some(median * 1_000), times[2], Some(longest), Some(longest), Some(longest)]
        );
        let failed = |name: &str| of(&report, name).figures.requests.zip(of(&report, name).figures.errors);
        assert_eq!(failed("Home"), Some((8, 2)), "{name}");
        assert_eq!(failed("Pay"), Some((2, 2)), "{name}");
        assert_eq!(failed("cart / items / Zufügen – 加入"), Some((6, 0)), "{name}");
        assert_eq!(report.generator.named.len(), 3, "{name}: a request that was never sent is none");
        let stages: Vec<&str> = report.marks.iter().map(|mark| mark.name.as_str()).collect();
        assert_eq!(stages, ["browse", "kaufen 購入"], "{name}");
        report.generator.validate().expect("may be kept");
    }
}

#[test]
fn our_writer_writes_what_gatling_wrote() {
    let message = "regex(.*data.*[45].*).find.exists, found nothing";
    let mut log = Writer::run("3.16.0", "shop.Stream", 1_795_882_546_399, "round 3", &["watch"]);
    log.user(0, true, 342).user(0, true, 344);
    log.request(&[], "Prices", (451, 481), true, "").request(&[], "Prices", (449, 484), true, "");
    log.request(&[], "third", (488, 687), false, message).request(&[], "third", (492, 681), false, message);
    log.request(&[], "Leave", (1817, 1818), true, "").user(0, false, 1821);
    log.request(&[], "Leave", (1816, 1821), true, "").user(0, false, 1822);
    assert_eq!(log.bytes, fixture("gatling-stream-3.16.0.log"));
}

#[test]
fn a_log_whose_test_was_killed_counts_up_to_there() {
    let report = report("gatling-killed-3.16.0.log");
    let (requests, errors, _, times) = shown(&report.generator.total);
    assert_eq!((requests, errors, times[5]), (Some(186), Some(0), Some(1_165_000)));
    assert_eq!(report.end, report.start.map(|start| start + 2_793 * MILLISECOND));
    assert!(report.generator.notes.iter().any(|note| note.contains("the middle of record 590")), "{report:?}");
}

#[test]
fn a_binary_log_says_the_same_as_the_text_log_of_the_same_test() {
    let mut log = Writer::run("3.13.1", "shop.checkout", START, "", &["buy"]);
    log.user(0, true, 0).request(&[], "Home", (0, 100), true, "");
    log.request(&["cart", "items"], "Add", (900, 1_150), true, "");
    log.group(&["cart", "items"], (900, 1_150), 250, true).error("No name: not sent", 1_000);
    log.request(&[], "Home", (1_100, 4_100), false, "status.find.is(200), found 503").user(0, false, 4_100);
    let (binary, text) = (read_log(&log), report("gatling-3.9.log"));
    assert_eq!((binary.start, binary.end, &binary.name), (text.start, text.end, &text.name));
    assert_eq!(binary.generator.total, text.generator.total);
    assert_eq!(binary.generator.named, text.generator.named);
    assert_eq!(binary.generator.notes, text.generator.notes);
}

#[test]
fn a_log_that_is_cut_anywhere_counts_what_is_whole() {
    for name in ["gatling-3.13.5.log", "gatling-stream-3.16.0.log"] {
        let whole = fixture(name);
        let all = report(name).generator.total.requests;
        let mut before = None;
        for end in 0..=whole.len() {
            match read(&whole[..end], None) {
                Ok(cut) => {
                    let requests = cut.generator.total.requests;
                    assert!(before <= requests && requests <= all, "{name} cut at {end}");
                    before = requests;
                }
                Err(error) => {
                    assert_eq!(before, None, "{name} cut at {end}");
                    let words = ["nothing in the file", "is binary", "within its first record", "no requests"];
                    assert!(words.iter().any(|words| error.message.contains(words)), "{name} cut at {end}: {error}");
                }
            }
        }
        assert_eq!(before, all, "{name}");
    }
}

#[test]
fn a_log_that_is_changed_anywhere_is_read_or_refused_with_the_byte() {
    let whole = fixture("gatling-3.13.5.log");
    let log = find("gatling-log").expect("a kind");
    let mut places = 0;
    for at in 1..whole.len() {
        for change in [0x01, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            let Err(error) = read(&changed[..], Some(log)) else { continue };
            assert!(error.hint.is_some() || error.message.contains("no requests"), "{error}");
            places += usize::from(error.message.contains("byte "));
        }
    }
    assert!(places > whole.len(), "{places}");
}

/// Writes something that no log has.
type Wrong = fn(&mut Writer) -> &mut Writer;

#[test]
fn wrong_logs_say_what_is_wrong_and_where() {
    let begun = || {
        let mut log = log();
        log.request(&["cart"], "Pay", (0, 10), true, "");
        log
    };
    let with = |wrong: Wrong| {
        let mut log = begun();
        wrong(&mut log);
        (log.bytes, begun().bytes.len())
    };
    // The part that is wrong is so many bytes after the end of the first two records.
    let cases: [(Wrong, usize, &str); 13] = [
        (|log| log.byte(7), 0, "no record begins with 7"),
        (|log| log.byte(0), 0, "a second run begins"),
        (|log| log.user(2, true, 5), 1, "a user of scenario 2, of 2"),
        (|log| log.user(-1, true, 5), 1, "a user of scenario -1"),
        (|log| log.byte(2).int(0).byte(9), 5, "9 where there should be 0 or 1"),
        (|log| log.request(&[], "Pay", (20, 10), true, ""), 13, "ends before it starts"),
        (|log| log.byte(1).int(-1), 1, "-1 groups"),
        (|log| log.byte(1).int(1_000_000), 1, "1000000 groups"),
        (|log| log.byte(4).int(-4), 1, "the text -4 is meant, there are 3 so far"),
        (|log| log.byte(4).int(i32::MIN), 1, "the text -2147483648 is meant"),
        (|log| log.byte(4).int(0), 1, "the text 0 is meant"),
        (|log| log.byte(4).int(9).text("far"), 1, "the text 9 is new, there are 3 so far"),
        (|log| log.byte(4).int(4).int(i32::MAX), 5, "2147483647 bytes of text"),
    ];
    for (wrong, after, words) in cases {
        let (bytes, end) = with(wrong);
        let error = read(&bytes[..], None).expect_err(words);
        assert!(error.message.contains(words), "{words:?} is not in {:?}", error.message);
        assert!(error.message.starts_with(&format!("record 3: byte {}: ", end + after)), "{}", error.message);
        assert!(error.hint.is_some_and(|hint| hint.contains("copy it again")), "{words}");
    }
    let uneven = with(|log| log.byte(4).int(4).int(3).byte(1).byte(2).byte(3).byte(1)).0;
    assert!(read(&uneven[..], None).expect_err("UTF-16").message.contains("UTF-16 of 3 bytes"));
    let coder = with(|log| log.byte(4).int(4).int(1).byte(b'a').byte(2)).0;
    assert!(read(&coder[..], None).expect_err("a coder").message.contains("coder 2"));
    let early = Writer::run("3.16.0", "shop.Checkout", 12, "", &[]).bytes;
    assert!(read(&early[..], None).expect_err("a time").message.contains("RUN has no time"));
}

#[test]
fn versions_that_are_not_known_are_refused_by_their_name() {
    let of =
        |version: &str| read(&Writer::run(version, "shop.Checkout", START, "", &[]).bytes[..], None).expect_err("none");
    for version in ["3.17.0", "3.12.0", "4.0.0-M1", "3", "3.x"] {
        let error = of(version);
        let told = format!("the log was written by Gatling {version:?}; binary logs of 3.13 to 3.16 are known");
        assert_eq!(error.message, told);
        assert!(error.hint.is_some_and(|hint| hint.contains("newer hotspan")));
    }
    for version in ["3.13.0", "3.16", "3.15.0-SNAPSHOT"] {
        assert!(of(version).message.contains("no requests"), "{version}");
    }
}

#[test]
fn texts_of_any_size_take_bounded_memory() {
    // Messages beyond what is kept are passed over, and count.
    let mut log = log();
    let long = "x".repeat(5_000);
    for number in 0..9_000 {
        log.request(&[], "Pay", (number, number + 10), false, &format!("{number} {long}"));
    }
    let report = read_log(&log);
    assert_eq!((report.generator.total.requests, report.generator.total.errors), (Some(9_000), Some(9_000)));
    // A name that was first such a message cannot be known.
    log.request(&[], &format!("8999 {long}"), (0, 10), true, "");
    let error = read(&log.bytes[..], None).expect_err("forgotten");
    assert!(error.message.contains("were not kept"), "{}", error.message);
    // So many names are none.
    let mut log = self::log();
    for number in 0..17_000 {
        log.request(&[], &format!("{number} {long}"), (0, 10), true, "");
    }
    let error = read(&log.bytes[..], None).expect_err("names");
    assert!(error.message.contains("64 MiB") && error.hint.is_some_and(|hint| hint.contains("parameters")));
    // Groups that repeat a long one make no name that is longer.
    let mut log = self::log();
    log.request(&[&long[..]; 100], "Pay", (0, 10), true, "");
    assert_eq!(read_log(&log).generator.named[0].name.chars().count(), 198);
}

#[test]
fn a_format_that_is_given_reads_either_form() {
    let kind = find("gatling-log").expect("a kind");
    for name in ["gatling-3.9.log", "gatling-3.16.0.log"] {
        assert!(read(&fixture(name)[..], Some(kind)).is_ok(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_counted(
        requests in prop::collection::vec((prop::collection::vec("[a-zé購😀 ]{1,5}", 0..3), "\\PC{1,12}", 0..100_000_i32, 0..5_000_i32, any::<bool>(), ".{0,8}"), 1..40),
    ) {
        let mut log = log();
        let mut counted = BTreeMap::new();
        for (groups, name, start, took, is_ok, message) in &requests {
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            log.user(0, true, *start).request(&groups, name, (*start, start + took), *is_ok, message);
            log.group(&groups, (*start, start + took), *took, *is_ok).error(message, *start);
            let way = groups.iter().map(|group| format!("{group} / ")).collect::<String>() + name;
            *counted.entry(way).or_insert(0) += 1_u64;
        }
        let report = read_log(&log);
        prop_assert_eq!(report.generator.total.requests, Some(requests.len() as u64));
        prop_assert_eq!(report.generator.total.errors, Some(requests.iter().filter(|request| !request.4).count() as u64));
        prop_assert_eq!(report.generator.total.max_ns, requests.iter().map(|request| i64::from(request.3) * MILLISECOND).max());
        let mut found: Vec<(String, u64)> =
            report.generator.named.into_iter().map(|named| (named.name, named.figures.requests.unwrap_or(0))).collect();
        let mut expected: Vec<(String, u64)> = counted.into_iter().map(|(way, number)| (figures::short(&way), number)).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}
