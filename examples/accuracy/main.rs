//! How often the diagnosis is right: the simulated shop with every fault in every place, over several seeds, without
//! a network, through the decoder, a store in memory and the analysis `hotspots`; and the shop without a fault.
//!
//! `cargo run --locked --example accuracy -- --seeds 1-5` prints a table and what was missed. Seeds 1 to 99 are for
//! tuning, 101 and above for reporting.

mod field;
mod public;
mod table;
mod trial;

use clap::Parser;
use demo::shop;

/// Measures how often the hidden fault of the simulated shop is named.
#[derive(Parser)]
struct Arguments {
    /// Seeds, first to last
    #[arg(long, default_value = "101-103", value_parser = range)]
    seeds: (u64, u64),
    /// Only this fault; `none` is the healthy shop
    #[arg(long)]
    fault: Option<String>,
    /// Only this place
    #[arg(long)]
    place: Option<usize>,
    /// Prints each ranking
    #[arg(long)]
    verbose: bool,
    /// Instead of the simulated shop: the folder of the public data set Nezha
    #[arg(long)]
    public: Option<std::path::PathBuf>,
    /// Which half of the public data set: tuning, reporting or both
    #[arg(long, default_value = "both")]
    half: String,
    /// Only the cases of the public data set whose name contains this
    #[arg(long)]
    case: Option<String>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().map_err(|e| format!("{text:?}: {e}"));
    Ok((number(first)?, number(last)?))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(folder) = &arguments.public {
        return runtime.block_on(field::run(folder, &arguments.half, arguments.case.as_deref(), arguments.verbose));
    }
    let mut faults: Vec<(&str, usize)> = shop::faults().iter().map(|fault| (fault.name, fault.places)).collect();
    faults.push(("none", 1));
    let mut rows = Vec::new();
    for (fault, places) in faults {
        if arguments.fault.as_deref().is_some_and(|only| only != fault) {
            continue;
        }
        let mut row = table::Row::new(fault);
        for seed in arguments.seeds.0..=arguments.seeds.1 {
            for place in (0..places).filter(|place| arguments.place.is_none_or(|only| only == *place)) {
                let trial = runtime.block_on(trial::run(fault, place, seed))?;
                if arguments.verbose {
                    println!("{fault} {place}, seed {seed}: {}", trial.ranking());
                }
                row.count(&trial, place, seed);
            }
        }
        println!("{}", row.line());
        rows.push(row);
    }
    table::print(&rows);
    Ok(())
}
