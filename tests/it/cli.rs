//! The commands besides `serve` and `sql`: help, configuration, `check`, `demo`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::otlp;
use crate::server::{Ended, Home, Server, hotspan, run, until};

#[test]
fn every_command_has_help_with_an_example() {
    let help = run(["--help"]).success().text();
    let listed = help.split_once("Commands:").and_then(|(_, rest)| rest.split_once("\n\n")).expect("a list").0;
    let commands: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["demo", "serve", "load", "run", "sql", "analyze", "check", "config"] {
        assert!(commands.contains(&name), "{name} in {commands:?}");
    }
    for name in commands.iter().filter(|name| **name != "help") {
        let help = run([name, "--help"]).success().text();
        let example = help.split_once("Example").map(|(_, rest)| rest).unwrap_or_default();
        assert!(example.contains(&format!("hotspan {name}")), "no example in the help of {name}:\n{help}");
    }
    assert!(run(["--version"]).success().text().starts_with("hotspan "));
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&["serve", "--no-such-flag"] as &[&str], &["no-such-command"], &["demo", "--rates", "1"], &[]] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    for arguments in [&["config"] as &[&str], &["demo", "--fault", "list"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = Ended::of(hotspan().args(arguments).stdout(writer).output().expect("runs"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn an_answer_that_is_cut_is_told_on_standard_error() {
    let home = Home::new();
    let server = home.start_with(&["--config", &home.file("hotspan.toml", "[query]\nmax_rows = 3\n")]);
    for at in 1..=5 {
        otlp::send(&server, &otlp::export("shop", vec![otlp::span(at, at as u64, "checkout")]));
    }
    for format in ["json", "csv", "table"] {
        let cut = server.sql_command(&["--format", format, "SELECT name FROM spans"]).success();
        assert!(cut.stderr.starts_with("warning: the server cut the answer at 3 rows"), "{cut:?}");
        assert!(!cut.text().contains("warning"), "{cut:?}");
        let whole = server.sql_command(&["--format", format, "SELECT name FROM spans LIMIT 3"]).success();
        assert_eq!(whole.stderr, "", "{format}");
    }
    server.stop();
}

#[test]
fn config_shows_where_each_value_comes_from_and_no_secret() {
    let home = Home::new();
    let secret = "0123456789abcdef-secret";
    let file =
        home.file("hotspan.toml", "listen = \"127.0.0.1:7001\"\nlog = \"warn\"\n[storage]\nhold_seconds = 3.5\n");
    let explain = |json: bool| {
        let mut command = hotspan();
        command.args(["config", "--config", &file, "--log", "debug"]).args(json.then_some("--json"));
        command.env("HOTSPAN_RETENTION", "30d").env("HOTSPAN_TOKENS", format!("a admin * {secret}"));
        Ended::of(command.output().expect("runs")).success()
    };
    let values: Vec<Value> = serde_json::from_str(&explain(true).text()).expect("JSON");
    let by_name: BTreeMap<&str, &Value> = values.iter().filter_map(|v| Some((v["name"].as_str()?, v))).collect();
    let expected = [
        ("log", Value::from("debug"), "flag"),
        ("retention", Value::from("30d"), "environment"),
        ("listen", Value::from("127.0.0.1:7001"), "file"),
        ("otlp-grpc", Value::from("127.0.0.1:4317"), "default"),
        ("storage.hold_seconds", Value::from(3.5), "file or default"),
    ];
    for (name, value, source) in expected {
        assert_eq!((&by_name[name]["value"], &by_name[name]["source"]), (&value, &Value::from(source)), "{name}");
    }
    for text in [explain(true).text(), explain(false).text()] {
        assert!(!text.contains(secret) && text.contains("(hidden)"), "{text}");
    }
    // The same refusals that a server would make.
    let refused = run(["config", "--listen", "0.0.0.0:4320"]);
    refused.refused(&["0.0.0.0:4320", "no token is set"]);
}

#[test]
fn check_finds_a_sound_folder_sound() {
    let server = Home::new().start();
    for at in 1..=10 {
        otlp::send(&server, &otlp::export("shop", vec![otlp::span(at, at as u64, "checkout")]));
    }
    // Beside a running server, after a kill, and after a clean stop.
    let sound = |home: &Home| {
        let text = home.run("check", &[]).success().text();
        assert!(text.contains("nothing is damaged") && !text.contains("DAMAGED"), "{text}");
        text
    };
    sound(&server.home);
    let home = server.kill();
    sound(&home);
    let home = home.start().stop();
    assert!(sound(&home).contains("10 rows"), "the table's rows are counted");
    let findings = home.run("check", &["--json"]).success().text();
    let findings: Vec<Value> = serde_json::from_str(&findings).expect("JSON");
    assert!(findings.iter().all(|f| f["ok"] == true) && findings.len() >= 2, "{findings:?}");
}

/// `hotspan demo` whose temporary files are in `home`.
pub fn demo(home: &Home, arguments: &[&str]) -> std::process::Command {
    let mut command = hotspan();
    command.args(["demo", "--listen", "127.0.0.1:0"]).args(arguments).env("TMPDIR", home.path());
    command
}

/// What `hotspan demo --reveal` answers to somebody with the same folder for temporary files.
pub fn reveal(home: &Home) -> Ended {
    Ended::of(hotspan().args(["demo", "--reveal"]).env("TMPDIR", home.path()).output().expect("runs"))
}

/// The truth after the line that names the process.
pub fn truth(answer: &Ended) -> Value {
    let text = answer.text();
    let (line, json) = text.split_once('\n').expect("two parts");
    assert!(line.starts_with("demo "), "{text}");
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn demo_plays_tells_and_cleans_up() {
    let home = Home::new();
    let server = Server::spawn(home.clone(), demo(&home, &["--fault", "lock_contention", "--duration", "5s"])).ready();
    let told = reveal(&home).success();
    assert_eq!(truth(&told)["fault"], "lock_contention");
    assert!(told.text().starts_with(&format!("demo {}:", server.pid())), "{}", told.text());
    // It says where to look, and not what there is to find.
    assert!(server.log().contains(&server.url("/")), "{}", server.log());
    assert!(!server.log().contains("lock_contention"), "{}", server.log());
    assert_eq!(server.get("/readyz").0, 200);

    let mut server = server;
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(server.log().contains("spans acknowledged"), "{}", server.log());
    reveal(&home).refused(&["no demo"]);
    let left: Vec<_> = fs::read_dir(home.path()).expect("readable").flatten().map(|e| e.path()).collect();
    let data = left.iter().filter(|path| path.join("data").exists() || path.extension().is_some_and(|e| e == "sock"));
    assert_eq!(data.count(), 0, "left behind: {left:?}");
}

/// What the shop counts as acknowledged is what the folder holds, though both were stopped in the middle of it.
#[test]
fn demo_sends_what_it_has_when_it_is_interrupted() {
    let home = Home::new();
    let data = home.data();
    let keep = ["--fault", "none", "--data", data.to_str().expect("a plain path")];
    let mut server = Server::spawn(home.clone(), demo(&home, &keep)).ready();
    until("some spans", || (server.number("SELECT count(*) FROM spans") > 200).then_some(()));
    server.signal(rustix::process::Signal::INT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("spans acknowledged")).unwrap_or_else(|| panic!("{log}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let told = words[words.len() - 3];
    assert_eq!(home.sql_on_folder("SELECT count(*) FROM spans"), [[told]], "{log}");
    assert!(!log.contains("were not taken"), "{log}");
}

#[test]
fn demo_lists_its_faults_and_refuses_others() {
    let home = Home::new();
    let list = Ended::of(demo(&home, &["--fault", "list"]).output().expect("runs")).success().text();
    assert!(list.lines().count() >= 10 && list.contains("slow_sql"), "{list}");
    let unknown = Ended::of(demo(&home, &["--fault", "gremlins"]).output().expect("runs"));
    unknown.refused(&["gremlins", "--fault list"]);
}
