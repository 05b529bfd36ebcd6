//! The command line: one subcommand each, listed once.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands;

/// hotspan keeps every span, answers SQL, and names the hot spot that limits a system under load.
#[derive(Parser)]
#[command(name = "hotspan", version, propagate_version = true, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(commands::serve::Serve),
    Demo(commands::demo::Demo),
    Load(commands::load::Load),
    Sql(commands::sql::Sql),
    Run(commands::run::Run),
    Analyze(commands::analyze::Analyze),
    Check(commands::check::Check),
    Config(commands::config::Config),
}

pub fn run() -> Result<ExitCode> {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        // clap prints help and version with code 0, wrong usage with code 2.
        Err(error) => error.exit(),
    };
    let cli = Cli::from_arg_matches(&matches)?;
    // Where each value came from, for `hotspan config`.
    let used = matches.subcommand().map(|(_, m)| m.clone()).unwrap_or_default();
    match cli.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Load(command) => command.run(),
        Command::Sql(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Analyze(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Config(command) => command.run(&used),
    }
}
