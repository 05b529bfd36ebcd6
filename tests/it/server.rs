//! The program under test: a home with its data and files, a server running in it, and what clients ask of it.
//!
//! A server that a test leaves running is killed; its log is printed when the test failed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test gives up. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The program, without what the tests' own environment says about hotspan or OpenTelemetry.
pub fn hotspan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotspan"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("HOTSPAN_") || n.starts_with("OTEL_")) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Ended::of(hotspan().args(arguments).output().expect("the program runs"))
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { code: output.status.code(), stdout: output.stdout, stderr }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard output, when all went well.
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.text(), self.stderr);
        self
    }

    /// Fails unless it ended with exit code 1 and standard error has all of these words.
    pub fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.text(), self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
    }
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The HTTP client of the tests that need no special one.
pub fn http() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| http_builder().build().expect("a client"))
}

pub fn http_builder() -> reqwest::blocking::ClientBuilder {
    // reqwest is built without a choice of cryptography. A second installation fails, which is what we want.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).no_proxy()
}

/// A folder with everything a server needs; servers may follow each other in it.
#[derive(Clone)]
pub struct Home(Arc<TempDir>);

impl Home {
    pub fn new() -> Self {
        Home(Arc::new(tempfile::Builder::new().prefix("hotspan-it-").tempdir().expect("a folder")))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file beside the data and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).expect("the folder can be written");
        path.to_str().expect("a plain path").to_owned()
    }

    /// `hotspan serve` in this home, not started yet; on free ports unless the arguments say `--listen=…`.
    pub fn serve(&self, arguments: &[&str]) -> Command {
        let mut command = hotspan();
        command.arg("serve").arg("--data").arg(self.data());
        for flag in ["--otlp-grpc=", "--otlp-http=", "--listen="] {
            if !arguments.iter().any(|argument| argument.starts_with(flag)) {
                command.arg(format!("{flag}127.0.0.1:0"));
            }
        }
        command.args(arguments);
        command
    }

    /// A server with default settings that accepts.
    pub fn start(&self) -> Server {
        self.start_with(&[])
    }

    pub fn start_with(&self, arguments: &[&str]) -> Server {
        Server::spawn(self.clone(), self.serve(arguments)).ready()
    }

    /// Runs `hotspan <command> --data <this home's data> …`.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Ended {
        let output = hotspan().arg(command).arg("--data").arg(self.data()).args(arguments).output();
        Ended::of(output.expect("the program runs"))
    }

    /// One statement on the folder itself, as rows of text cells without the header.
    pub fn sql_on_folder(&self, statement: &str) -> Vec<Vec<String>> {
        let answer = self.run("sql", &["--format", "csv", statement]).success();
        rows_of_csv(&answer.text())
    }
}

/// Rows after the header. Good for cells without commas and quotes.
pub fn rows_of_csv(text: &str) -> Vec<Vec<String>> {
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// A running `hotspan`, with its addresses once it is ready.
pub struct Server {
    pub home: Home,
    child: Option<Child>,
    log: PathBuf,
    ready_file: PathBuf,
    /// `http`, or `https` when it was started with a certificate.
    pub scheme: &'static str,
    pub client: Client,
    pub grpc: String,
    pub http: String,
    pub listen: String,
}

impl Server {
    /// Starts a command that takes `--ready-file`, and does not wait for it.
    pub fn spawn(home: Home, mut command: Command) -> Self {
        let (log, ready_file) = (home.path().join("server.log"), home.path().join("ready.json"));
        let _ = fs::remove_file(&ready_file);
        let output = File::options().create(true).append(true).open(&log).expect("a log file");
        let errors = output.try_clone().expect("a second handle");
        command.arg("--ready-file").arg(&ready_file).stdout(output).stderr(errors);
        let child = Some(command.spawn().expect("the program starts"));
        let empty = String::new;
        let (grpc, http, listen) = (empty(), empty(), empty());
        let client = self::http().clone();
        Server { home, child, log, ready_file, scheme: "http", client, grpc, http, listen }
    }

    /// Waits for the ready file.
    pub fn ready(mut self) -> Self {
        let addresses: Value = until("the ready file", || {
            let ended = self.child.as_mut()?.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "the program ended with {ended:?}");
            serde_json::from_slice(&fs::read(&self.ready_file).ok()?).ok()
        });
        let address = |name: &str| addresses[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(addresses["pid"], self.pid(), "{addresses}");
        assert!(addresses.as_object().is_some_and(|o| o.contains_key("pg")), "{addresses}");
        (self.grpc, self.http, self.listen) = (address("otlp_grpc"), address("otlp_http"), address("listen"));
        self
    }

    /// Waits until it is ready, or has ended because it could not be.
    pub fn is_ready_or_gone(&mut self) -> bool {
        until("the ready file or the end", || {
            if self.ready_file.exists() {
                return Some(true);
            }
            self.child.as_mut()?.try_wait().expect("a child of ours").map(|_| false)
        })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child of ours")
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.listen)
    }

    pub fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// The value of a sample of `/metrics` by its name with labels, e.g. `hotspan_ledger_rows{table="spans",…}`.
    pub fn metric(&self, sample: &str) -> f64 {
        let text = self.request("/metrics").send().and_then(|r| r.text()).expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {sample} in\n{text}"))
    }

    /// Status and JSON at a path; text that is no JSON comes as a JSON string.
    pub fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(path))
    }

    /// JSON at a path that has to be there.
    pub fn json(&self, path: &str) -> Value {
        let (status, value) = self.get(path);
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    pub fn post_sql(&self, statement: &str) -> RequestBuilder {
        self.client.post(self.url("/api/v1/sql")).json(&json!({"query": statement}))
    }

    pub fn try_sql(&self, statement: &str) -> (StatusCode, Value) {
        answer(self.post_sql(statement))
    }

    /// The rows of a statement that has to succeed.
    pub fn sql(&self, statement: &str) -> Vec<Vec<Value>> {
        let (status, mut value) = self.try_sql(statement);
        assert_eq!(status, StatusCode::OK, "{statement}: {value}");
        assert_eq!(value["truncated"], false, "{statement}");
        serde_json::from_value(value["rows"].take()).expect("rows are lists")
    }

    /// The rows as objects by column name.
    pub fn objects(&self, statement: &str) -> Vec<Value> {
        let (status, value) = self.try_sql(statement);
        assert_eq!(status, StatusCode::OK, "{statement}: {value}");
        let names: Vec<&str> =
            value["columns"].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
        let rows = value["rows"].as_array().into_iter().flatten();
        rows.map(|row| {
            names.iter().zip(row.as_array().into_iter().flatten()).map(|(n, v)| ((*n).to_owned(), v.clone())).collect()
        })
        .collect()
    }

    /// The only cell of an answer, as a number.
    pub fn number(&self, statement: &str) -> i64 {
        self.sql(statement)[0][0].as_i64().unwrap_or_else(|| panic!("{statement} gives no number"))
    }

    /// A request to the OTLP/HTTP address.
    pub fn otlp(&self, path: &str, media_type: &str, body: Vec<u8>) -> RequestBuilder {
        let url = format!("{}://{}{path}", self.scheme, self.http);
        self.client.post(url).header("content-type", media_type).body(body)
    }

    /// `hotspan sql` against this server.
    pub fn sql_command(&self, arguments: &[&str]) -> Ended {
        run(["sql", "--server", &self.url("")].iter().chain(arguments))
    }

    /// Asks it to stop and waits for the end.
    pub fn stop(mut self) -> Home {
        self.signal(rustix::process::Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "after SIGTERM: {status:?}\n{}", self.log());
        assert!(!self.ready_file.exists(), "the ready file of a server that is gone");
        self.home.clone()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).expect("a process id"));
        rustix::process::kill_process(pid.expect("not zero"), signal).expect("it runs");
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("not waited for yet");
        until("the end of the program", || child.try_wait().expect("a child of ours"))
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Home {
        let mut child = self.child.take().expect("not waited for yet");
        child.kill().expect("it runs");
        let status = child.wait().expect("a child of ours");
        assert_eq!(status.signal(), Some(9), "it ended by itself: {status:?}\n{}", self.log());
        self.home.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(8_000);
            eprintln!("--- log of the server ---\n{}", log.get(from..).unwrap_or(&log));
        }
    }
}

/// Status and body of a request.
pub fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().expect("an answer");
    let status = response.status();
    let text = response.text().expect("a body");
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, value)
}
