//! The configuration: flags over environment over a TOML file, one name for one thing in all three.
//!
//! `--otlp-grpc` is `HOTSPAN_OTLP_GRPC` is `otlp-grpc = "…"`. The crates' own settings are the file's tables
//! `[collector]`, `[storage]` and `[query]`, so that each is described where it is used.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use model::access::Access;
use serde::{Deserialize, Serialize};

use crate::memory;

/// What can be said on the command line and in the environment, and at the top of the file.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Options {
    /// Address of OTLP/gRPC; empty turns it off [default: 127.0.0.1:4317]
    #[arg(long, env = "HOTSPAN_OTLP_GRPC", value_name = "ADDRESS")]
    pub otlp_grpc: Option<String>,
    /// Address of OTLP/HTTP; empty turns it off [default: 127.0.0.1:4318]
    #[arg(long, env = "HOTSPAN_OTLP_HTTP", value_name = "ADDRESS")]
    pub otlp_http: Option<String>,
    /// Address of the web UI and the HTTP API; empty turns it off [default: 127.0.0.1:4320]
    #[arg(long, env = "HOTSPAN_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Folder for the data [default: ./hotspan-data]
    #[arg(long, env = "HOTSPAN_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// File of bearer tokens, a line each: NAME SCOPES TENANTS TOKEN
    #[arg(long, env = "HOTSPAN_TOKENS_FILE", value_name = "FILE")]
    pub tokens_file: Option<PathBuf>,
    /// The lines of bearer tokens themselves; better in the environment than on the command line
    #[arg(long, env = "HOTSPAN_TOKENS", value_name = "LINES", hide_env_values = true)]
    pub tokens: Option<String>,
    /// Certificate chain (PEM) for TLS on every address
    #[arg(long, env = "HOTSPAN_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) for TLS
    #[arg(long, env = "HOTSPAN_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Bind to other than loopback addresses without tokens: anyone who reaches them may read and write
    #[arg(long, env = "HOTSPAN_INSECURE_NO_AUTH", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub insecure_no_auth: Option<bool>,
    /// Delete rows this long after they were received, e.g. 7d or 36h; 0 keeps them [default: 7d]
    #[arg(long, env = "HOTSPAN_RETENTION", value_name = "TIME")]
    pub retention: Option<String>,
    /// Most bytes of data files, e.g. 200GiB; the oldest go first [default: no limit]
    #[arg(long, env = "HOTSPAN_RETENTION_BYTES", value_name = "SIZE")]
    pub retention_bytes: Option<String>,
    /// Memory for everything, e.g. 2GiB; what does not fit waits on disk [default: 1GiB, at most half of the machine]
    #[arg(long, env = "HOTSPAN_MEMORY", value_name = "SIZE")]
    pub memory: Option<String>,
    /// Write the addresses as JSON to this file once all of them accept
    #[arg(long, env = "HOTSPAN_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a tracing filter [default: info]
    #[arg(long, env = "HOTSPAN_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Send hotspan's own traces to this OTLP/gRPC endpoint, e.g. http://127.0.0.1:4317 (may be its own)
    #[arg(long, env = "HOTSPAN_SELF_ENDPOINT", value_name = "URL")]
    pub self_endpoint: Option<String>,
}

/// The file: the options and the crates' settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(flatten)]
    options: Options,
    collector: collector::Settings,
    storage: storage::Settings,
    query: query::Settings,
    #[serde(skip)]
    set: memory::Set,
}

/// The names a file may have at its top; `flatten` cannot refuse others by itself.
const SECTIONS: [&str; 3] = ["collector", "storage", "query"];

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub otlp_grpc: Option<SocketAddr>,
    pub otlp_http: Option<SocketAddr>,
    pub listen: Option<SocketAddr>,
    pub data: PathBuf,
    pub access: Arc<Access>,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub insecure: bool,
    pub ready_file: Option<PathBuf>,
    pub log: String,
    pub self_endpoint: Option<String>,
    /// Memory for everything, in bytes; the crates' settings hold its parts.
    pub memory: u64,
    pub collector: collector::Settings,
    pub storage: storage::Settings,
    pub query: query::Settings,
}

/// Reads the file, when one is named.
fn read(file: Option<&Path>) -> Result<File> {
    let Some(path) = file else { return Ok(File::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str) -> Result<File> {
    let table: toml::Table = toml::from_str(text)?;
    let known = known_options();
    for key in table.keys() {
        if !SECTIONS.contains(&key.as_str()) && !known.iter().any(|k| k == key) {
            bail!("{key:?} is not a setting; known are {} and the tables {}", known.join(", "), SECTIONS.join(", "));
        }
    }
    let file: File = toml::from_str(text)?;
    let set = |section: &str, name: &str| table.get(section).is_some_and(|section| section.get(name).is_some());
    let set = memory::Set {
        in_flight: set("collector", "max_in_flight_bytes"),
        waiting: set("storage", "memory_bytes"),
        merge: set("storage", "merge_bytes"),
        queries: set("query", "memory_bytes"),
        process: set("query", "process_bytes"),
    };
    Ok(File { set, ..file })
}

/// Names of the options as they stand in the file.
fn known_options() -> Vec<String> {
    let fields = serde_json::to_value(Options::default()).unwrap_or_default();
    fields.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
}

/// One value and where it came from.
#[derive(Debug, Serialize)]
pub struct Sourced {
    pub name: String,
    pub value: serde_json::Value,
    pub source: &'static str,
}

/// Every option with its effective value and source; secrets are hidden.
pub fn explain(flags: &Options, file: Option<&Path>, from_env: impl Fn(&str) -> bool) -> Result<Vec<Sourced>> {
    let effective = Config::resolve_unchecked(flags.clone(), file)?;
    let (collector, storage, query) = (effective.collector, effective.storage, effective.query);
    let File { options, .. } = read(file)?;
    let said = serde_json::to_value(flags)?;
    let filed = serde_json::to_value(options)?;
    let defaults = serde_json::to_value(defaults())?;
    let mut out = Vec::new();
    for name in known_options() {
        let (value, source) = match (&said[&name], &filed[&name]) {
            (v, _) if !v.is_null() && from_env(&name) => (v, "environment"),
            (v, _) if !v.is_null() => (v, "flag"),
            (_, v) if !v.is_null() => (v, "file"),
            _ => (&defaults[&name], "default"),
        };
        let secret = name == "tokens" && !value.is_null();
        let value = if secret { serde_json::json!("(hidden)") } else { value.clone() };
        out.push(Sourced { name, value, source });
    }
    for (section, value) in [
        ("collector", serde_json::to_value(collector)?),
        ("storage", serde_json::to_value(storage)?),
        ("query", serde_json::to_value(query)?),
    ] {
        let source = if file.is_some() { "file or default" } else { "default" };
        for (key, value) in value.as_object().into_iter().flatten() {
            out.push(Sourced { name: format!("{section}.{key}"), value: value.clone(), source });
        }
    }
    Ok(out)
}

fn defaults() -> Options {
    let text = |s: &str| Some(s.to_owned());
    Options {
        otlp_grpc: text("127.0.0.1:4317"),
        otlp_http: text("127.0.0.1:4318"),
        listen: text("127.0.0.1:4320"),
        data: Some("./hotspan-data".into()),
        insecure_no_auth: Some(false),
        retention: text("7d"),
        log: text("info"),
        ..Options::default()
    }
}

impl Config {
    /// Flags (and the environment, which clap has folded into them) over the file over the defaults.
    pub fn resolve(flags: Options, file: Option<&Path>) -> Result<Config> {
        let config = Config::resolve_unchecked(flags, file)?;
        config.validate()?;
        Ok(config)
    }

    fn resolve_unchecked(flags: Options, file: Option<&Path>) -> Result<Config> {
        let File { options: filed, collector, mut storage, query, set } = read(file)?;
        let base = defaults();
        macro_rules! pick {
            ($name:ident) => {
                flags.$name.or(filed.$name).or(base.$name)
            };
        }
        // A size or an age in the file's [storage] holds unless the option is given.
        if let Some(text) = flags.retention.clone().or(filed.retention.clone()) {
            storage.retention_seconds = duration(&text).context("retention")?;
        }
        if let Some(text) = pick!(retention_bytes) {
            storage.retention_bytes = size(&text).context("retention-bytes")?;
        }
        let tokens = tokens(pick!(tokens_file).as_deref(), pick!(tokens).as_deref())?;
        let memory = pick!(memory).map(|text| size(&text).context("memory")).transpose()?;
        let mut config = Config {
            otlp_grpc: address("otlp-grpc", pick!(otlp_grpc))?,
            otlp_http: address("otlp-http", pick!(otlp_http))?,
            listen: address("listen", pick!(listen))?,
            data: pick!(data).unwrap_or_default(),
            access: Arc::new(tokens),
            tls: tls(pick!(tls_cert), pick!(tls_key))?,
            insecure: pick!(insecure_no_auth).unwrap_or(false),
            ready_file: pick!(ready_file),
            log: pick!(log).unwrap_or_default(),
            self_endpoint: pick!(self_endpoint),
            memory: memory.unwrap_or_else(memory::usual),
            collector,
            storage,
            query,
        };
        memory::divide(config.memory, set, &mut config);
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        if self.memory < memory::LEAST {
            bail!(
                model::Error::invalid(format!("memory is {} MiB", self.memory >> 20))
                    .hint(format!("hotspan needs at least {} MiB", memory::LEAST >> 20))
            );
        }
        self.collector.validate().context("[collector]")?;
        self.storage.validate().context("[storage]")?;
        self.query.validate().context("[query]")?;
        let open = [("otlp-grpc", self.otlp_grpc), ("otlp-http", self.otlp_http), ("listen", self.listen)];
        for (name, address) in open {
            let Some(address) = address.filter(|a| !a.ip().is_loopback()) else { continue };
            if self.access.is_open() && !self.insecure {
                bail!(model::Error::invalid(format!(
                    "{name} {address} can be reached from other machines, and no token is set"
                ))
                .hint(
                    "set HOTSPAN_TOKENS (or --tokens-file) to lines of 'NAME SCOPES TENANTS TOKEN', bind to 127.0.0.1, \
                     or accept the risk with --insecure-no-auth"
                ));
            }
        }
        Ok(())
    }
}

fn tokens(file: Option<&Path>, lines: Option<&str>) -> Result<Access> {
    let mut text = String::new();
    if let Some(path) = file {
        text = std::fs::read_to_string(path).with_context(|| format!("reading the tokens of {}", path.display()))?;
        text.push('\n');
    }
    text.push_str(lines.unwrap_or_default());
    let access = Access::parse(&text).context("reading the tokens")?;
    if (file.is_some() || lines.is_some_and(|l| !l.trim().is_empty())) && access.is_open() {
        bail!(model::Error::invalid("the tokens hold no token").hint("a line is NAME SCOPES TENANTS TOKEN"));
    }
    Ok(access)
}

/// Certificate and key. One may be a flag and the other stand in the file, so only here is it known whether both are
/// there; a server with one of them would speak plain text where TLS is meant.
fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>> {
    let (given, missing) = match (cert, key) {
        (Some(cert), Some(key)) => return Ok(Some((cert, key))),
        (None, None) => return Ok(None),
        (Some(_), None) => ("tls-cert", "tls-key"),
        (None, Some(_)) => ("tls-key", "tls-cert"),
    };
    bail!(
        model::Error::invalid(format!("{given} is given and {missing} is missing"))
            .hint("TLS takes both, each as a flag, in the environment or in the file")
    );
}

fn address(name: &str, text: Option<String>) -> Result<Option<SocketAddr>> {
    use std::net::ToSocketAddrs;
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
    let mut found = text.to_socket_addrs().with_context(|| format!("{name}: {text:?} is not HOST:PORT"))?;
    Ok(Some(found.next().with_context(|| format!("{name}: {text:?} has no address"))?))
}

/// `7d`, `36h`, `90s`, `0`; seconds.
pub fn duration(text: &str) -> Result<f64> {
    if text.trim() == "0" {
        return Ok(0.0);
    }
    let parsed = humantime::parse_duration(text.trim());
    Ok(parsed.with_context(|| format!("{text:?} is not a time like 7d, 36h or 90s"))?.as_secs_f64())
}

/// As [`duration`], for what takes a [`Duration`].
pub fn time(text: &str) -> Result<Duration> {
    Ok(Duration::from_secs_f64(duration(text)?))
}

/// `200GiB`, `500MB`, `1048576`; bytes.
pub fn size(text: &str) -> Result<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "kb" => 1e3,
        "m" | "mib" => 1024.0 * 1024.0,
        "mb" => 1e6,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "gb" => 1e9,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "tb" => 1e12,
        _ => bail!("{text:?} is not a size like 200GiB or 500MB"),
    };
    let number: f64 = number.parse().with_context(|| format!("{text:?} is not a size like 200GiB or 500MB"))?;
    Ok((number * scale) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration from flags and the text of a file.
    fn resolved(flags: Options, text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hotspan.toml");
        std::fs::write(&path, text).expect("written");
        Config::resolve(flags, Some(&path))
    }

    #[test]
    fn a_file_with_an_unknown_name_is_refused_with_the_known_ones() {
        let error = parse("otlp-grcp = \"127.0.0.1:1\"").expect_err("a typo");
        assert!(format!("{error:#}").contains("otlp-grpc"), "{error:#}");
        assert!(parse("[storage]\nhold = 3").is_err());
        let file = parse("listen = \"127.0.0.1:1\"\n[storage]\nhold_seconds = 3.0\n").expect("valid");
        assert_eq!(file.options.listen.as_deref(), Some("127.0.0.1:1"));
        assert_eq!(file.storage.hold_seconds, 3.0);
    }

    #[test]
    fn one_budget_is_divided_and_the_file_may_set_a_part() {
        let flags = Options { memory: Some("512MiB".into()), ..Options::default() };
        let config = Config::resolve(flags.clone(), None).expect("valid");
        let parts = config.collector.max_in_flight_bytes
            + config.storage.memory_bytes
            + config.storage.merge_bytes
            + config.query.memory_bytes;
        assert_eq!((parts, config.query.process_bytes), ((512 << 20) / 16 * 13, 512 << 20));
        let config = resolved(flags, "[storage]\nmemory_bytes = 33554432\n").expect("valid");
        assert_eq!(config.storage.memory_bytes, 32 << 20);
        let little = Options { memory: Some("10MiB".into()), ..Options::default() };
        assert!(Config::resolve(little, None).is_err());
    }

    #[test]
    fn a_certificate_without_a_key_is_refused_wherever_it_is_named() {
        let refused = |flags: Options, text: &str, words: &str| {
            let error = resolved(flags, text).expect_err("one of two");
            assert!(format!("{error:#}").contains(words), "{error:#}");
        };
        let certificate = Options { tls_cert: Some("a.crt".into()), ..Options::default() };
        refused(Options::default(), "tls-cert = \"a.crt\"", "tls-key is missing");
        refused(Options::default(), "tls-key = \"a.key\"", "tls-cert is missing");
        refused(certificate, "", "tls-key is missing");
    }

    #[test]
    fn a_certificate_as_a_flag_goes_with_a_key_of_the_file() {
        let pair = Some((PathBuf::from("a.crt"), PathBuf::from("a.key")));
        let certificate = Options { tls_cert: Some("a.crt".into()), ..Options::default() };
        assert_eq!(resolved(certificate, "tls-key = \"a.key\"").expect("both").tls, pair);
        let both = "tls-cert = \"a.crt\"\ntls-key = \"a.key\"";
        assert_eq!(resolved(Options::default(), both).expect("both").tls, pair);
        assert_eq!(resolved(Options::default(), "").expect("none").tls, None);
    }

    #[test]
    fn a_wrong_setting_of_any_section_is_refused() {
        let wrong = [
            ("[collector]\nmax_request_bytes = 0", "max_request_bytes"),
            ("[storage]\nhold_seconds = -1.0", "hold_seconds"),
            ("[query]\nthreads = 0", "query.threads"),
        ];
        for (text, name) in wrong {
            let error = resolved(Options::default(), text).expect_err("out of range");
            assert!(format!("{error:#}").contains(name), "{error:#}");
        }
    }

    #[test]
    fn a_public_address_needs_tokens() {
        let flags = Options { listen: Some("0.0.0.0:0".into()), ..Options::default() };
        let error = Config::resolve(flags.clone(), None).expect_err("refused");
        assert!(format!("{error:#}").contains("listen 0.0.0.0:0"), "{error:#}");
        let tokens = Some("a admin * 0123456789abcdef0123".to_owned());
        assert!(Config::resolve(Options { tokens, ..flags.clone() }, None).is_ok());
        assert!(Config::resolve(Options { insecure_no_auth: Some(true), ..flags }, None).is_ok());
    }

    #[test]
    fn sizes_and_times_are_read_in_the_usual_units() {
        assert_eq!(size("200GiB").expect("a size"), 200 << 30);
        assert_eq!(size("1.5 MB").expect("a size"), 1_500_000);
        assert!(size("many").is_err());
        assert_eq!(duration("7d").expect("a time"), 604_800.0);
        assert_eq!(duration("0").expect("a time"), 0.0);
        assert!(duration("soon").is_err());
    }

    #[test]
    fn an_empty_address_turns_a_listener_off() {
        let config = Config::resolve(Options { otlp_http: Some(String::new()), ..Options::default() }, None);
        assert_eq!(config.expect("valid").otlp_http, None);
    }
}
