//! The points of a metric by series: the whole identity of each (resource, scope, attributes), as a fold, so that what is
//! held is charged to the memory of queries.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use model::{Error, Kind, Result};
use serde_json::Value as Json;
use xxhash_rust::xxh3::Xxh3;

use super::point::{Columns, Point, Temporality};
use crate::fold::Fold;

/// Data points of one answer.
pub const MAX_POINTS: usize = 2_000_000;
/// What tells series apart.
const IDENTITY: [&str; 8] =
    ["resource_attributes", "scope_name", "scope_version", "attributes", "type", "unit", "temporality", "service_name"];
/// All that is read of a point.
pub const COLUMNS: &str = "resource_attributes, scope_name, scope_version, attributes, type, unit, temporality, service_name, \
     instance_id, service_namespace, service_version, is_monotonic, start_time_unix_nano, time_unix_nano, flags, value, \
     value_int, count, sum, min, max, explicit_bounds, bucket_counts, scale, zero_count, zero_threshold, positive_offset, \
     positive_counts, negative_offset, negative_counts, quantiles";

/// Whether points of a type add up.
pub fn counts(ty: &str, monotonic: bool) -> bool {
    match ty {
        "SUM" => monotonic,
        "HISTOGRAM" | "EXPONENTIAL_HISTOGRAM" | "SUMMARY" => true,
        _ => false,
    }
}

/// The values of the labels that were asked for.
pub type Labels = BTreeMap<String, String>;

/// What a metric is, by its first point.
#[derive(Debug, Clone)]
pub struct Metric {
    pub ty: String,
    pub unit: String,
    pub monotonic: bool,
}

/// One series.
#[derive(Debug, Clone)]
pub struct Series {
    pub labels: Labels,
    /// Whether its points add up.
    pub counts: bool,
    pub temporality: Temporality,
    pub points: Vec<Point>,
}

impl Series {
    /// Points in order of time, each moment once.
    pub fn sort(&mut self) {
        self.points.sort_by_key(|p| (p.time, p.start));
        self.points.dedup_by_key(|p| p.time);
    }
}

#[derive(Debug, Default)]
pub struct AllSeries {
    pub metric: Option<Metric>,
    pub series: Vec<Series>,
    group_by: Vec<String>,
    places: HashMap<u128, usize>,
    points: usize,
    bytes: usize,
}

impl AllSeries {
    pub fn by(group_by: &[&str]) -> Self {
        AllSeries { group_by: group_by.iter().map(|key| (*key).to_owned()).collect(), ..AllSeries::default() }
    }

    /// The place of a series, made by `make` when it is new.
    fn place(&mut self, identity: u128, make: impl FnOnce(&[String]) -> Series) -> usize {
        let AllSeries { places, series, group_by, bytes, .. } = self;
        *places.entry(identity).or_insert_with(|| {
            let made = make(group_by);
            let labels: usize = made.labels.iter().map(|(key, value)| key.len() + value.len() + 96).sum();
            *bytes += size_of::<Series>() + labels + 64;
            series.push(made);
            series.len() - 1
        })
    }

    /// Whether there are no more than one answer is made of. Each part of a scan looks at its own.
    ///
    /// # Errors
    /// `Limit`.
    pub fn check(&self) -> Result<()> {
        if self.points <= MAX_POINTS {
            return Ok(());
        }
        Err(Error::new(Kind::Limit, format!("the metric has more than {MAX_POINTS} points in this window"))
            .hint("narrow the window or give a service"))
    }
}

impl Fold for AllSeries {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns(batch);
        if batch.num_rows() > 0 && self.metric.is_none() {
            let text = |name| columns.text(name, 0).to_owned();
            let monotonic = columns.truth("is_monotonic", 0);
            self.metric = Some(Metric { ty: text("type"), unit: text("unit"), monotonic });
        }
        self.points += batch.num_rows();
        self.check()?;
        for row in 0..batch.num_rows() {
            let at = self.place(identity(&columns, row), |group_by| series(&columns, row, group_by));
            let point = columns.point(row);
            self.bytes += point.size();
            self.series[at].points.push(point);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.metric = self.metric.take().or(other.metric);
        self.points += other.points;
        let theirs_in_points: usize = other.series.iter().flat_map(|series| &series.points).map(Point::size).sum();
        self.bytes += theirs_in_points;
        let mut theirs: Vec<Option<Series>> = other.series.into_iter().map(Some).collect();
        let mut places: Vec<(u128, usize)> = other.places.into_iter().collect();
        places.sort_unstable_by_key(|(_, place)| *place);
        for (identity, place) in places {
            let Some(mut found) = theirs[place].take() else { continue };
            let points = std::mem::take(&mut found.points);
            let at = self.place(identity, |_| found);
            self.series[at].points.extend(points);
        }
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

/// Of 128 bits: no two series of a store share it.
fn identity(columns: &Columns, row: usize) -> u128 {
    let mut hash = Xxh3::new();
    for text in IDENTITY.map(|name| columns.text(name, row)) {
        hash.update(&text.len().to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.digest128()
}

fn series(columns: &Columns, row: usize, group_by: &[String]) -> Series {
    let text = |name: &str| columns.text(name, row);
    let attribute = |json: &str, key: &str| {
        let object: Json = serde_json::from_str(json).ok()?;
        Some(match object.get(key)? {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let label = |key: &String| {
        let value = match key.as_str() {
            "service_name" | "instance_id" | "service_namespace" | "service_version" => text(key).to_owned(),
            key => attribute(text("attributes"), key)
                .or_else(|| attribute(text("resource_attributes"), key))
                .unwrap_or_default(),
        };
        (key.clone(), value)
    };
    let counts = counts(text("type"), columns.truth("is_monotonic", row));
    let temporality = if text("temporality") == "DELTA" { Temporality::Delta } else { Temporality::Cumulative };
    Series { labels: group_by.iter().map(label).collect(), counts, temporality, points: Vec::new() }
}
