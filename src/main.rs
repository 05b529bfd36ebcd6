//! The program: reads the command line and runs one command. Everything else is in the crates it wires together.
//!
//! Exit code 0 on success, 1 on failure, 2 on wrong usage; errors go to standard error as one readable chain.

mod cli;
mod client;
mod commands;
mod config;
mod memory;
mod server;
mod streams;
mod telemetry;

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};

#[global_allocator]
static ALLOCATOR: system::MiMalloc = system::MiMalloc;

/// Sooner keeps less memory, and costs CPU and the time of questions, which take it again at once.
const GIVE_BACK_AFTER: Duration = Duration::from_millis(100);

/// As many open files as this user may have: each connection takes one, and shells allow 1,024 by default.
fn allow_many_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // Where it is not allowed, the old limit stays.
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn main() -> ExitCode {
    system::give_back_after(GIVE_BACK_AFTER);
    allow_many_files();
    // One crypto library for clients too. It fails only when one is installed already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            // A reader that closed the pipe (`hotspan sql … | head`) is no failure.
            if streams::is_unread(&error) {
                return ExitCode::SUCCESS;
            }
            streams::note(format_args!("error: {error:#}"));
            if let Some(hint) =
                error.chain().find_map(|e| e.downcast_ref::<model::Error>()).and_then(|e| e.hint.as_ref())
            {
                streams::note(format_args!("hint: {hint}"));
            }
            ExitCode::FAILURE
        }
    }
}
