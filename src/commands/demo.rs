//! `hotspan demo`: a server and a simulated shop with one hidden bottleneck, to be found on the page.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use demo::shop;
use model::{Clock, Nanos, SystemClock};
use tokio_util::sync::CancellationToken;

use super::serve::runtime;
use crate::config::{Config, Options, time};
use crate::server::{Server, asked_to_stop, write_whole};
use crate::{streams, telemetry};

/// Start a server and a simulated shop under a step load, with one hidden bottleneck to find
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan demo\n  hotspan demo --fault slow_sql --seed 7\n  \
    hotspan demo --reveal        # in a second shell: what the bottleneck is")]
pub struct Demo {
    /// Which fault the shop has; `none` for none, `list` to list them [default: a random one]
    #[arg(long)]
    fault: Option<String>,
    /// The same seed makes the same shop, with other ids of traces [default: from the process id]
    #[arg(long)]
    seed: Option<u64>,
    /// Another system in place of the shop, drawn from the seed: chain, fan-out, shared, asynchronous or random, with 5
    /// to 60 services
    #[arg(long, value_name = "SHAPE:SERVICES", default_value = "shop")]
    topology: shop::Topology,
    /// Stop after this time, e.g. 90s [default: on Ctrl-C]
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// Customer requests per second before and after the step
    #[arg(long, value_names = ["BASE", "PEAK"], num_args = 2)]
    rates: Option<Vec<f64>>,
    /// When the step comes
    #[arg(long, value_name = "TIME", default_value = "45s")]
    step_after: String,
    /// Write the addresses as JSON to this file once the server accepts
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Keep the data in this folder [default: a temporary one, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address of the web UI; its port is replaced by a free one when it is in use
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4320")]
    listen: SocketAddr,
    /// Ask the demo that is running what its bottleneck is
    #[arg(long, conflicts_with_all = ["fault", "seed", "duration", "data"])]
    reveal: bool,
}

impl Demo {
    pub fn run(self) -> Result<ExitCode> {
        if self.reveal {
            return reveal();
        }
        if self.fault.as_deref() == Some("list") {
            let mut out = streams::stdout();
            for fault in shop::faults() {
                writeln!(out, "{:<24} {}", fault.name, fault.does)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        telemetry::start_logging("warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off")?;
        runtime()?.block_on(self.play())?;
        Ok(ExitCode::SUCCESS)
    }

    /// `now` is when the demo starts.
    fn settings(&self, now: Nanos) -> Result<shop::Settings> {
        let process = u64::from(std::process::id());
        let mut settings = shop::Settings {
            seed: self.seed.unwrap_or(process),
            // Demos follow each other in one folder, and their traces are not to become one.
            salt: now.unsigned_abs() ^ process.rotate_right(22),
            topology: self.topology,
            fault: self.fault.clone().unwrap_or_default(),
            step_after: time(&self.step_after)?,
            duration: self.duration.as_deref().map(time).transpose()?.unwrap_or_default(),
            ..shop::Settings::default()
        };
        if let Some([base, peak]) = self.rates.as_deref() {
            (settings.base_rate, settings.peak_rate) = (*base, *peak);
        }
        Ok(settings)
    }

    async fn play(&self) -> Result<()> {
        let mut settings = self.settings(SystemClock.now())?;
        let Some(truth) = shop::truth(&settings) else {
            let place = match settings.topology {
                shop::Topology::Shop => String::new(),
                generated => format!(" that has a place in {generated}"),
            };
            bail!(
                model::Error::invalid(format!("{:?} is not a fault{place}", settings.fault))
                    .hint("`hotspan demo --fault list` lists them")
            );
        };
        let temporary = tempfile::Builder::new().prefix("hotspan-demo-").tempdir().context("making a folder")?;
        let data = self.data.clone().unwrap_or_else(|| temporary.path().join("data"));
        let server = Server::start(self.config(data)?).await?;
        let (Some(listen), Some(grpc)) = (server.addresses.listen.clone(), server.addresses.otlp_grpc.clone()) else {
            bail!("the demo's server has no address");
        };
        settings.endpoint = format!("http://{grpc}");
        let answering = Reveal::start(&serde_json::to_string(&truth)?)?;
        if let Some(path) = &self.ready_file {
            write_whole(path, &serde_json::to_vec(&server.addresses)?)?;
        }
        say(&announcement(&listen, &settings, &truth));

        let report = run_shop(settings).await?;
        if report.requests > 0 {
            say(&format!("{} requests made, {} spans acknowledged", report.requests, report.spans));
        }
        if report.failed_spans > 0 {
            say(&format!("{} spans were not taken", report.failed_spans));
        }
        drop(answering);
        server.stop().await
    }

    /// The usual addresses, or free ports where they are in use.
    fn config(&self, data: PathBuf) -> Result<Config> {
        let free = |address: SocketAddr| match std::net::TcpListener::bind(address) {
            Ok(_) => address,
            Err(_) => SocketAddr::new(address.ip(), 0),
        };
        let usual = |port: u16| free(SocketAddr::from(([127, 0, 0, 1], port))).to_string();
        let options = Options {
            otlp_grpc: Some(usual(4317)),
            otlp_http: Some(usual(4318)),
            listen: Some(free(self.listen).to_string()),
            data: Some(data),
            ..Options::default()
        };
        Config::resolve(options, None)
    }
}

/// Runs the shop until its time is over or somebody asks to stop. Either way its exporters send what they have before
/// this returns, so the server has to be there still. Who asks twice does not want to wait for them.
async fn run_shop(settings: shop::Settings) -> Result<shop::Report> {
    let over = CancellationToken::new();
    let mut shop = tokio::spawn(shop::run(settings, over.clone()));
    tokio::select! {
        report = &mut shop => return Ok(report??),
        asked = asked_to_stop() => asked?,
    }
    say("\nstopping: the shop sends what it has; Ctrl-C again does not wait");
    over.cancel();
    tokio::select! {
        report = shop => Ok(report??),
        asked = asked_to_stop() => asked.map(|()| shop::Report::default()),
    }
}

/// Says something to whoever reads it; that nobody does is no reason to end.
fn say(line: &str) {
    let mut out = streams::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn announcement(listen: &str, settings: &shop::Settings, truth: &shop::Truth) -> String {
    let system = match settings.topology {
        shop::Topology::Shop => "a shop of 13 services".to_owned(),
        shop::Topology::Generated { services, .. } => format!("a system of {services} services"),
    };
    let task = match truth.is_none() {
        true => "Nothing is wrong with it. See for yourself",
        false => "One thing in it does not bear that. Find it",
    };
    let reveal = match truth.is_none() {
        true => "",
        false => "Is it right? In a second shell: hotspan demo --reveal\n",
    };
    format!(
        "hotspan demo: {system} takes {} requests/s, and from {} s on {} requests/s.\n\
         {task}:\n\n    http://{listen}/\n\n\
         {reveal}Stop with Ctrl-C.",
        settings.base_rate,
        settings.step_after.as_secs_f64(),
        settings.peak_rate
    )
}

/// Where running demos can be asked, readable by this user only.
fn meeting_place() -> PathBuf {
    std::env::temp_dir().join(format!("hotspan-demo-{}", rustix::process::getuid().as_raw()))
}

/// Answers `--reveal` until dropped.
struct Reveal {
    path: PathBuf,
}

impl Reveal {
    fn start(answer: &str) -> Result<Self> {
        let folder = meeting_place();
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        let path = folder.join(format!("{}.sock", std::process::id()));
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).with_context(|| format!("binding {}", path.display()))?;
        let answer = format!("{answer}\n");
        std::thread::Builder::new().name("reveal".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up early has what it wanted, or did not want it.
                let _ = (&stream).write_all(answer.as_bytes());
            }
        })?;
        Ok(Reveal { path })
    }
}

impl Drop for Reveal {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn reveal() -> Result<ExitCode> {
    let mut sockets: Vec<PathBuf> = fs::read_dir(meeting_place())
        .map(|entries| {
            entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "sock")).collect()
        })
        .unwrap_or_default();
    sockets.sort();
    let mut asked = 0;
    for socket in sockets {
        let Some(answer) = ask(&socket) else {
            // Left behind by a demo that was killed.
            let _ = fs::remove_file(&socket);
            continue;
        };
        asked += 1;
        let pid = socket.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let truth: serde_json::Value = serde_json::from_str(&answer).context("reading the demo's answer")?;
        writeln!(streams::stdout(), "demo {pid}:\n{}", serde_json::to_string_pretty(&truth)?)?;
    }
    if asked == 0 {
        bail!(model::Error::not_found("no demo of this user is running").hint("start one with: hotspan demo"));
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(socket: &Path) -> Option<String> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        demo: Demo,
    }

    fn demo(arguments: &[&str]) -> Demo {
        Alone::parse_from([&["demo"], arguments].concat()).demo
    }

    #[test]
    fn demos_of_one_seed_have_ids_of_their_own() {
        let demo = demo(&["--seed", "7", "--fault", "slow_sql"]);
        let first = demo.settings(1_794_400_200_000_000_000).expect("valid");
        let second = demo.settings(1_794_400_200_000_000_001).expect("valid");
        assert!(first.salt != 0 && second.salt != 0 && first.salt != second.salt, "{} {}", first.salt, second.salt);
        assert_eq!(shop::Settings { salt: first.salt, ..second }, first, "all else is the same");
    }

    #[test]
    fn a_system_without_a_fault_is_announced_as_such() {
        let said = |fault: &str| {
            let settings = demo(&["--seed", "7", "--fault", fault]).settings(1).expect("valid");
            announcement("127.0.0.1:4320", &settings, &shop::truth(&settings).expect("known"))
        };
        let (none, slow) = (said("none"), said("slow_sql"));
        assert!(none.contains("Nothing is wrong with it.") && none.contains("http://127.0.0.1:4320/"), "{none}");
        assert!(!none.contains("does not bear") && !none.contains("--reveal"), "{none}");
        assert!(slow.contains("does not bear that. Find it:") && slow.contains("--reveal"), "{slow}");
        assert!(!slow.contains("slow_sql"), "{slow}");
    }
}
