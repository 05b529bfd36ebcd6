//! How often the diagnosis is right: the simulated shop with every fault in every place, over several seeds, without
//! a network, through the decoder, a store in memory and the analysis `hotspots`; and the shop without a fault. Or
//! other systems in its place, drawn at random, with a place of each fault for each seed.
//!
//! `cargo run --locked --example accuracy -- --seeds 1-5` prints a table and what was missed. Seeds up to 200 are for tuning
//! (1 to 119 were used), 201 and above for reporting. Runs depend on nothing but their arguments: several processes may
//! share the seeds.

mod field;
mod memory;
mod naming;
mod plain;
mod public;
mod table;
mod trial;

use std::time::Duration;

use clap::Parser;
use demo::shop::{self, Sending, Topology, Wear};
use naming::Condition;
use trial::Setup;

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
    /// The demo's shop, or a system that each seed draws: chain, fan-out, shared, asynchronous, random
    #[arg(long, value_name = "SHAPE", default_value = "shop")]
    topology: String,
    /// How many services a drawn system has, fewest to most; each seed draws a number
    #[arg(long, default_value = "20", value_parser = range)]
    services: (u64, u64),
    /// What happens to the telemetry on its way: none, skew, loss, partial (some services send nothing) or all of it
    #[arg(long, default_value = "none", value_parser = wear)]
    wear: Wear,
    /// Requests per second in the first minute and after it [default: 20:100, less where they make many spans]
    #[arg(long, value_name = "LOW:HIGH", value_parser = load)]
    load: Option<(f64, f64)>,
    /// Looks at spans only, not at metrics and logs
    #[arg(long)]
    spans_only: bool,
    /// Asks again and again after the load rose, and tells how soon the fault is named first
    #[arg(long)]
    time_to_name: bool,
    /// With --time-to-name: each process sends every 5 s at moments of its own, instead of every span 5 s after its end
    #[arg(long, requires = "time_to_name")]
    apart: bool,
    /// With --time-to-name: the share of what processes send that comes 20 to 40 s late
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "time_to_name", value_parser = share)]
    late: f64,
    /// With --time-to-name: the fault begins so many seconds after the load rose, until when the system is well
    #[arg(long, value_name = "SECONDS", requires = "time_to_name")]
    onset: Option<u64>,
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
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("{text:?}: {e}"));
    let (first, last) = (number(first)?, number(last)?);
    if first <= last { Ok((first, last)) } else { Err(format!("{first} is more than {last}")) }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is not a share from 0 to 1")),
    }
}

fn load(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text.split_once(':').ok_or("two rates are wanted, as in 20:100")?;
    let rate = |text: &str| match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err(format!("{text:?} is not a rate")),
    };
    Ok((rate(low)?, rate(high)?))
}

fn wear(text: &str) -> Result<Wear, String> {
    let none = Wear::default();
    let (skew, loss, dark) = (Duration::from_millis(50), 0.02, 0.15);
    match text {
        "none" => Ok(none),
        "skew" => Ok(Wear { skew, ..none }),
        "loss" => Ok(Wear { loss, ..none }),
        "partial" => Ok(Wear { dark, ..none }),
        "all" => Ok(Wear { skew, loss, dark }),
        _ => Err("none, skew, loss, partial or all is wanted".to_owned()),
    }
}

impl Arguments {
    /// The system of a seed.
    fn topology(&self, seed: u64) -> anyhow::Result<Topology> {
        if self.topology == "shop" {
            return Ok(Topology::Shop);
        }
        let (fewest, most) = self.services;
        // The golden ratio's fraction: neighbouring seeds get numbers far apart.
        let services = fewest + (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % (most - fewest + 1);
        Ok(format!("{}:{services}", self.topology).parse()?)
    }

    /// The places to try: each one of the shop, and in a drawn system the one that the seed chooses.
    fn places(&self, in_shop: usize) -> Vec<Option<usize>> {
        match self.place {
            Some(only) if self.topology != "shop" || only < in_shop => vec![Some(only)],
            Some(_) => Vec::new(),
            None if self.topology == "shop" => (0..in_shop).map(Some).collect(),
            None => vec![None],
        }
    }
}

impl Arguments {
    fn setup<'a>(&self, fault: &'a str, place: Option<usize>, seed: u64, topology: Topology) -> Setup<'a> {
        Setup { fault, place, seed, topology, load: self.load, wear: self.wear, spans_only: self.spans_only }
    }

    /// Prints how soon each fault is named, in all places of all seeds.
    async fn times_to_name(&self, faults: &[(&str, usize)]) -> anyhow::Result<()> {
        let mut all = Vec::new();
        let sending = Sending { apart: self.apart, late: self.late, seed: 0 };
        let condition = Condition { sending, onset: self.onset.map(Duration::from_secs) };
        for &(fault, in_shop) in faults {
            let mut times = naming::Times::new(fault);
            for seed in self.seeds.0..=self.seeds.1 {
                let topology = self.topology(seed)?;
                for place in self.places(in_shop) {
                    let setup = self.setup(fault, place, seed, topology);
                    if let Some(named) = naming::run(&setup, condition, self.verbose).await? {
                        times.count(named);
                    }
                }
            }
            all.push(times);
        }
        naming::print(&all);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(folder) = &arguments.public {
        return runtime.block_on(field::run(folder, &arguments.half, arguments.case.as_deref(), arguments.verbose));
    }
    let mut faults: Vec<(&str, usize)> =
        shop::faults().iter().map(|fault| (fault.name, fault.places_in_shop())).collect();
    faults.push(("none", 1));
    faults.retain(|(fault, _)| arguments.fault.as_deref().is_none_or(|only| only == *fault));
    if arguments.time_to_name {
        return runtime.block_on(arguments.times_to_name(&faults));
    }
    let mut rows = Vec::new();
    for (fault, in_shop) in faults {
        let mut row = table::Row::new(fault);
        for seed in arguments.seeds.0..=arguments.seeds.1 {
            let topology = arguments.topology(seed)?;
            for place in arguments.places(in_shop) {
                let setup = arguments.setup(fault, place, seed, topology);
                let Some(trial) = runtime.block_on(trial::run(&setup))? else {
                    row.without_place(&setup);
                    continue;
                };
                if arguments.verbose {
                    println!("{setup}: {}", trial.ranking());
                }
                row.count(&trial, &setup);
            }
        }
        println!("{}", row.line());
        rows.push(row);
    }
    table::print(&rows);
    Ok(())
}
