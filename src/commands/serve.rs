//! `hotspan serve`: collector, store, query and web UI in one process.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::config::{Config, Options};
use crate::server::{Server, asked_to_stop};
use crate::streams;
use crate::telemetry::{self, Own};

/// Run the server: OTLP in on 4317 and 4318, web UI and SQL on 4320
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan serve --data /var/lib/hotspan\n  \
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 java -javaagent:opentelemetry-javaagent.jar -jar shop.jar")]
pub struct Serve {
    /// TOML file of settings; flags and environment win over it
    #[arg(long, env = "HOTSPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub fn run(self) -> Result<ExitCode> {
        let config = Config::resolve(self.options, self.config.as_deref())?;
        telemetry::start_logging(&config.log)?;
        runtime()?.block_on(async {
            let mut own = config.self_endpoint.as_deref().map(Own::start).transpose()?;
            let server = Server::start(config).await?;
            if let Some(own) = &mut own {
                own.measure(&server.health)?;
            }
            if let Some(listen) = &server.addresses.listen {
                // That nobody reads it is no reason not to serve.
                let _ = writeln!(streams::stdout(), "hotspan is ready: http://{listen}/");
            }
            asked_to_stop().await?;
            tracing::info!("stopping: finishing exports in work, flushing");
            // While the endpoint is there: it may be this server.
            let own = tokio::task::spawn_blocking(move || own.inspect(Own::flush)).await?;
            server.stop().await?;
            drop(own);
            Ok::<(), anyhow::Error>(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The ingest runtime. Queries have threads of their own, at lower priority.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("ingest").build()?)
}
