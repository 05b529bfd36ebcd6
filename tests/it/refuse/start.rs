//! A server that cannot start says why in a sentence, what to do in another, and ends with 1.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::server::{Ended, Home, until};

/// Runs a server that is expected to end by itself.
fn refusal(command: &mut Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    until("the refusal", || child.try_wait().expect("a child of ours"));
    Ended::of(child.wait_with_output().expect("its output"))
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    for name in ["otlp-grpc", "otlp-http", "listen"] {
        let home = Home::new();
        let refused = refusal(&mut home.serve(&[&format!("--{name}={address}")]));
        refused.refused(&[name, &address, "another program listens there"]);
        assert!(!home.data().exists(), "nothing was made for a server that cannot start");
    }
}

#[test]
fn a_folder_in_use_names_the_process_that_has_it() {
    let server = Home::new().start();
    let second = refusal(&mut server.home.serve(&[]));
    second.refused(&["in use", &server.pid().to_string(), "--data"]);
    assert_eq!(server.number("SELECT count(*) FROM spans"), 0, "the first one lives on");
}

#[test]
fn a_newer_format_is_left_alone() {
    let home = Home::new().start().stop();
    let marker = home.data().join("format.json");
    let text = fs::read_to_string(&marker).expect("the marker");
    let newer = text.replace("\"format\":1", "\"format\":99");
    assert_ne!(newer, text);
    fs::write(&marker, &newer).expect("writes");
    refusal(&mut home.serve(&[])).refused(&["format 99", "newer hotspan"]);
    home.run("check", &[]).refused(&["format 99"]);
    home.run("sql", &["SELECT 1"]).refused(&["format 99"]);
    assert_eq!(fs::read_to_string(&marker).expect("the marker"), newer);
}

#[test]
fn an_open_address_needs_tokens() {
    let home = Home::new();
    for name in ["otlp-grpc", "otlp-http", "listen"] {
        let refused = refusal(&mut home.serve(&[&format!("--{name}=0.0.0.0:0")]));
        refused.refused(&[name, "0.0.0.0:0", "no token is set", "--insecure-no-auth"]);
    }
    let server = home.start_with(&["--listen=0.0.0.0:0", "--insecure-no-auth"]);
    assert_eq!(server.json("/api/v1/status")["insecure"], true);
}

#[test]
fn a_wrong_configuration_is_told_with_the_right_one() {
    let home = Home::new();
    let refused = |arguments: &[&str], words: &[&str]| refusal(&mut home.serve(arguments)).refused(words);
    let unknown = home.file("unknown.toml", "otlp-grcp = \"127.0.0.1:1\"\n");
    refused(&["--config", &unknown], &["otlp-grcp", "otlp-grpc", "unknown.toml"]);
    let impossible = home.file("impossible.toml", "[storage]\nhold_seconds = -1.0\n");
    refused(&["--config", &impossible], &["hold_seconds", "between 0 and 600"]);
    let idle = home.file("idle.toml", "[query]\nthreads = 0\n");
    refused(&["--config", &idle], &["query.threads", "between 1 and 1024"]);
    refused(&["--config", "/nowhere/hotspan.toml"], &["/nowhere/hotspan.toml"]);
    let tokens = home.file("tokens", "# nothing but a comment\n");
    refused(&["--tokens-file", &tokens], &["no token", "NAME SCOPES TENANTS TOKEN"]);
    let short = home.file("short", "shop ingest default abc\n");
    refused(&["--tokens-file", &short], &["token line 1", "16 characters"]);
    refused(&["--tls-cert", "/nowhere/a.crt", "--tls-key", "/nowhere/a.key"], &["/nowhere/a.crt"]);
    refused(&["--tls-cert", "/nowhere/a.crt"], &["tls-key is missing"]);
    let keyless = home.file("keyless.toml", "tls-cert = \"/nowhere/a.crt\"\n");
    refused(&["--config", &keyless], &["tls-key is missing"]);
    assert!(!home.data().exists(), "nothing was made for a server that cannot start");
    let file = home.file("a-file", "");
    let mut command = crate::server::hotspan();
    command.args(["serve", "--listen=127.0.0.1:0", "--otlp-grpc=", "--otlp-http=", "--data", &file]);
    refusal(&mut command).refused(&["a-file", "--data"]);
}

#[test]
fn an_empty_address_turns_a_listener_off() {
    let server = Home::new().start_with(&["--otlp-grpc=", "--otlp-http="]);
    assert_eq!((server.grpc.as_str(), server.http.as_str()), ("", ""));
    assert_eq!(server.json("/api/v1/status")["endpoints"]["otlp_grpc"], serde_json::Value::Null);
    server.stop();
}
