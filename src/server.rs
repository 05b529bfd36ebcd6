//! The running server: binds, opens the store, wires the crates together, serves, and ends in order.
//!
//! Order of the end: stop accepting ▸ finish exports in work ▸ flush the store ▸ stop queries. What was acknowledged
//! is safe at every point of it; the order only makes a restart quick.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use model::{Clock, Decoder, Ingest, SystemClock};
use opentelemetry::KeyValue;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::telemetry::{self, Health, Parts};

/// Where a running server is; also the content of the ready file.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    pub otlp_grpc: Option<String>,
    pub otlp_http: Option<String>,
    pub listen: Option<String>,
    /// The PostgreSQL protocol is not built yet.
    pub pg: Option<String>,
    pub pid: u32,
}

/// A listener bound before anything is opened, so that a port in use is the first thing one hears of.
struct Bound {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
}

async fn bind(name: &'static str, address: Option<SocketAddr>) -> Result<Option<Bound>> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await.map_err(|e| {
        let error = model::Error::unavailable(format!("cannot bind {name} to {address}: {e}"));
        match e.kind() {
            std::io::ErrorKind::AddrInUse => error.hint(format!(
                "another program listens there; stop it or choose another address with --{name} (port 0 takes a free one)"
            )),
            _ => error,
        }
    })?;
    let address = bound.local_addr()?;
    Ok(Some(Bound { name, listener: bound, address }))
}

/// A server that has been started.
pub struct Server {
    pub addresses: Addresses,
    pub store: storage::Store,
    pub health: Arc<Health>,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
    ready_file: Option<PathBuf>,
}

impl Server {
    /// Binds, opens the store, and serves. Returns once all listeners accept.
    pub async fn start(config: Config) -> Result<Server> {
        telemetry::step("start", Server::started(config), |_| Vec::new()).await
    }

    async fn started(config: Config) -> Result<Server> {
        let grpc = bind("otlp-grpc", config.otlp_grpc).await?;
        let http = bind("otlp-http", config.otlp_http).await?;
        let listen = bind("listen", config.listen).await?;
        let tls = config.tls.as_ref().map(|(cert, key)| collector::tls::load(cert, key)).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let limits = collector::decode::Limits {
            max_decoded_bytes: config.collector.max_request_bytes as usize,
            ..collector::decode::Limits::default()
        };
        let decoder = Arc::new(collector::decode::OtlpDecoder::new(limits));
        // What was acknowledged under a larger limit has to be readable again under a smaller one.
        let replayed = collector::decode::Limits {
            max_decoded_bytes: collector::decode::Limits::MOST_DECODED_BYTES,
            ..collector::decode::Limits::default()
        };
        let replayed = Arc::new(collector::decode::OtlpDecoder::new(replayed));
        let store = open(&config, clock.clone(), replayed).await?;
        let ledger = store.ledger();
        let ingest: Arc<dyn Ingest> = Arc::new(store.clone());
        let collector = collector::Collector::new(
            config.collector.clone(),
            config.access.clone(),
            ledger.clone(),
            decoder,
            ingest,
            clock.clone(),
        );
        let engine = query::Engine::new(querying(&config), Arc::new(store.clone()), clock.clone())?;
        let engine = Arc::new(engine);

        let address = |bound: &Option<Bound>| bound.as_ref().map(|b| b.address.to_string());
        let addresses = Addresses {
            otlp_grpc: address(&grpc),
            otlp_http: address(&http),
            listen: address(&listen),
            pg: None,
            pid: std::process::id(),
        };
        let parts = Parts { store: store.clone(), engine: engine.clone(), ledger, stats: collector.stats(), clock };
        let health = Arc::new(Health::new(&config, &addresses, parts));
        let open_here = config.access.is_open() && !config.insecure;
        let names = if open_here { ui::Names::ThisMachine } else { ui::Names::Any };
        let page = ui::router(engine, config.access.clone(), health.clone(), Arc::new(store.clone()), names);

        let stop = CancellationToken::new();
        let mut listeners = Vec::new();
        let routers = [(grpc, collector.grpc_router()), (http, collector.http_router()), (listen, page)];
        for (bound, router) in routers {
            let Some(Bound { name, listener, address }) = bound else { continue };
            tracing::info!("{name} on {scheme}://{address}");
            let limits = config.collector.connections.clone();
            let connections = collector.stats().connections(name);
            let serve = collector::listen::serve(listener, router, tls.clone(), limits, connections, stop.clone());
            listeners.push(tokio::spawn(serve));
        }
        if config.insecure && config.access.is_open() {
            tracing::warn!("--insecure-no-auth: anyone who reaches these addresses may read and write");
        }
        let server = Server { addresses, store, health, stop, listeners, ready_file: config.ready_file.clone() };
        server.write_ready_file()?;
        Ok(server)
    }

    fn write_ready_file(&self) -> Result<()> {
        let Some(path) = &self.ready_file else { return Ok(()) };
        write_whole(path, &serde_json::to_vec(&self.addresses)?)
    }

    /// Stops accepting, finishes what is in work, flushes, and ends.
    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        for listener in self.listeners {
            let _ = listener.await;
        }
        let closed = self.store.close().await;
        if let Some(path) = &self.ready_file {
            let _ = std::fs::remove_file(path);
        }
        closed.context("closing the store")
    }
}

/// Queries spill beside the data: the system's temporary folder may be in memory, or missing.
fn querying(config: &Config) -> query::Settings {
    let spill_folder = config.query.spill_folder.clone().unwrap_or_else(|| config.data.join("spill"));
    query::Settings { spill_folder: Some(spill_folder), ..config.query.clone() }
}

/// Opens the store and tells what that took.
async fn open(config: &Config, clock: Arc<dyn Clock>, decoder: Arc<dyn Decoder>) -> Result<storage::Store> {
    let opening = storage::Store::open(&config.data, config.storage.clone(), clock, decoder, query::summaries());
    let replayed = |(_, recovered): &(storage::Store, storage::Recovered)| {
        let counts = [("exports", recovered.exports), ("rows", recovered.rows), ("skipped_exports", recovered.skipped)];
        counts.map(|(name, count)| KeyValue::new(name, count as i64)).to_vec()
    };
    let (store, recovered) = telemetry::step("open store", opening, replayed)
        .await
        .with_context(|| format!("opening the data folder {}", config.data.display()))?;
    tracing::info!(
        exports = recovered.exports,
        rows = recovered.rows,
        skipped = recovered.skipped,
        "opened {}",
        config.data.display()
    );
    for damage in &recovered.damage {
        tracing::error!("damage found: {damage}; run `hotspan check`");
    }
    Ok(store)
}

/// Writes a file so that a reader sees all of it or nothing.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = path.with_file_name(name);
    std::fs::write(&staged, bytes).with_context(|| format!("writing {}", staged.display()))?;
    std::fs::rename(&staged, path).with_context(|| format!("writing {}", path.display()))
}

/// Resolves on SIGTERM or SIGINT (Ctrl-C).
pub async fn asked_to_stop() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
