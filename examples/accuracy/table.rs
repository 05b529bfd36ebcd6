//! Hits and misses by fault.

use crate::trial::{Setup, Trial};

#[derive(Default)]
pub struct Row {
    fault: String,
    runs: usize,
    alarms: usize,
    first: usize,
    within_three: usize,
    category: usize,
    instance: Share,
    attribute: Share,
    p99_first: usize,
    self_time_first: usize,
    /// First among the runs whose fault is behind a topic, where no customer waits for it.
    behind_topic: Share,
    /// Runs whose system has no place for the fault.
    without_place: usize,
    missed: Vec<String>,
}

/// Hits among the runs in which there is something to hit.
#[derive(Default, Clone, Copy)]
struct Share {
    hits: usize,
    of: usize,
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.of += 1;
        self.hits += usize::from(hit);
    }

    fn text(self) -> String {
        if self.of == 0 { "-".to_owned() } else { format!("{}/{}", self.hits, self.of) }
    }
}

impl Row {
    pub fn new(fault: &str) -> Self {
        Row { fault: fault.to_owned(), ..Row::default() }
    }

    pub fn without_place(&mut self, setup: &Setup<'_>) {
        self.without_place += 1;
        self.missed.push(format!("{setup}: there is no place for it"));
    }

    pub fn count(&mut self, trial: &Trial, setup: &Setup<'_>) {
        self.runs += 1;
        self.alarms += usize::from(trial.alarms());
        let first = trial.alarms() && trial.place == Some(0);
        self.first += usize::from(first);
        self.within_three += usize::from(trial.alarms() && trial.place.is_some_and(|place| place < 3));
        self.category += usize::from(trial.alarms() && trial.category);
        self.p99_first += usize::from(trial.by_p99 == Some(0));
        self.self_time_first += usize::from(trial.by_self_time == Some(0));
        if trial.truth.instance.is_some() {
            self.instance.count(trial.instance);
        }
        if trial.truth.attribute.is_some() {
            self.attribute.count(trial.attribute);
        }
        if trial.truth.behind_topic {
            self.behind_topic.count(first);
        }
        let wrong = if trial.is_healthy() { trial.alarms() } else { !first || !trial.category };
        if wrong || !trial.instance || !trial.attribute {
            let truth = format!("{}/{} {}", trial.truth.service, trial.truth.operation, trial.truth.category);
            let behind = if trial.truth.behind_topic { " behind a topic" } else { "" };
            self.missed.push(format!("{setup}: {truth}{behind}; said {}", trial.ranking()));
        }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let of = |n: usize| format!("{n}/{}", self.runs);
        let healthy = self.fault == "none";
        let hits = |n: usize| if healthy { "-".to_owned() } else { of(n) };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.fault,
            of(self.alarms),
            hits(self.first),
            hits(self.within_three),
            hits(self.category),
            self.instance.text(),
            self.attribute.text(),
            hits(self.p99_first),
            hits(self.self_time_first),
        )
    }
}

pub fn print(rows: &[Row]) {
    println!();
    println!(
        "| fault | alarm | first | within 3 | category | instance | attribute | first by p99 | first by self time |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{}", row.line()));
    let faulty: Vec<&Row> = rows.iter().filter(|row| row.fault != "none").collect();
    let sum = |of: fn(&Row) -> usize| faulty.iter().map(|row| of(row)).sum::<usize>();
    let runs = sum(|row| row.runs);
    if runs > 0 {
        let part = |n: usize| format!("{n}/{runs}");
        println!(
            "| **all faults** | {} | {} | {} | {} | {}/{} | {}/{} | {} | {} |",
            part(sum(|row| row.alarms)),
            part(sum(|row| row.first)),
            part(sum(|row| row.within_three)),
            part(sum(|row| row.category)),
            sum(|row| row.instance.hits),
            sum(|row| row.instance.of),
            sum(|row| row.attribute.hits),
            sum(|row| row.attribute.of),
            part(sum(|row| row.p99_first)),
            part(sum(|row| row.self_time_first)),
        );
    }
    let behind = sum(|row| row.behind_topic.of);
    if behind > 0 {
        let first = sum(|row| row.behind_topic.hits);
        println!(
            "\nIn {behind} of them the fault is behind a topic, where no customer waits; first in {first} of these."
        );
    }
    let without = sum(|row| row.without_place);
    if without > 0 {
        println!("\nIn {without} more the system has no place for the fault.");
    }
    println!();
    rows.iter().flat_map(|row| &row.missed).for_each(|missed| println!("- {missed}"));
}
