//! Writes a target's seeds as files, which libFuzzer starts from: `write_seeds TARGET FOLDER`.

use std::path::Path;
use std::process::ExitCode;

use hotspan_fuzz_targets::{TARGETS, seeds};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder] = arguments.as_slice() else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    };
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        eprintln!("there is no target {name}");
        return ExitCode::FAILURE;
    };
    for (seed, bytes) in seeds::of(target) {
        if let Err(error) = std::fs::write(Path::new(folder).join(&seed), bytes) {
            eprintln!("{folder}/{seed}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
