//! `ExportMetricsServiceRequest` into rows of `metrics`, one for each data point.
//!
//! A metric's own fields may follow its points on the wire, and points need to know their kind. So the few fields of
//! a `Metric` are read first, stepping over the points by their length.

mod columns;
mod point;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use model::Nanos;

use self::columns::PointColumns;
use self::point::PointRow;
use super::attr::Attributes;
use super::envelope::SignalRows;
use super::field::lossy;
use super::limits::Limits;
use super::origin::OriginColumns;
use super::report::{Anomalies, Reject, Report};
use super::wire::{Cursor, Walk};

/// What a metric measures, by its field number in `Metric.data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetricKind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl MetricKind {
    fn of_field(number: u32) -> Option<Self> {
        match number {
            5 => Some(MetricKind::Gauge),
            7 => Some(MetricKind::Sum),
            9 => Some(MetricKind::Histogram),
            10 => Some(MetricKind::ExponentialHistogram),
            11 => Some(MetricKind::Summary),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            MetricKind::Gauge => "GAUGE",
            MetricKind::Sum => "SUM",
            MetricKind::Histogram => "HISTOGRAM",
            MetricKind::ExponentialHistogram => "EXPONENTIAL_HISTOGRAM",
            MetricKind::Summary => "SUMMARY",
        }
    }

    fn has_temporality(self) -> bool {
        !matches!(self, MetricKind::Gauge | MetricKind::Summary)
    }
}

/// Metadata of a metric beyond this is left out.
const MOST_METADATA: usize = 1024;

/// `AggregationTemporality` by number.
const TEMPORALITIES: [&str; 3] = ["UNSPECIFIED", "DELTA", "CUMULATIVE"];

/// A `Metric` without its points, as encoded.
#[derive(Debug, Default)]
struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    metadata: Vec<&'a [u8]>,
    data: Option<Groups<'a>>,
    temporality: i32,
    is_monotonic: bool,
}

impl<'a> Metric<'a> {
    fn read(message: &'a [u8]) -> Walk<Self> {
        let mut metric = Metric::default();
        let mut cursor = Cursor::new(message);
        loop {
            let rest = cursor;
            let Some(field) = cursor.next()? else { break };
            match field.number {
                1 => metric.name = field.bytes()?,
                2 => metric.description = field.bytes()?,
                3 => metric.unit = field.bytes()?,
                12 if metric.metadata.len() <= MOST_METADATA => metric.metadata.push(field.bytes()?),
                number => {
                    let Some(kind) = MetricKind::of_field(number) else { continue };
                    field.bytes()?;
                    if metric.data.is_none_or(|data| data.kind != kind) {
                        metric.data = Some(Groups { kind, number, rest });
                    }
                }
            }
        }
        if let Some(data) = metric.data {
            data.messages().try_for_each(|group| metric.read_group(group))?;
        }
        Ok(metric)
    }

    /// Steps over the points.
    fn read_group(&mut self, group: &'a [u8]) -> Walk<()> {
        let mut cursor = Cursor::new(group);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => drop(field.bytes()?),
                2 => self.temporality = field.int32()?,
                3 => self.is_monotonic = field.varint()? != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where a metric's data stands. Of several kinds the last wins; of one kind that comes again the points are merged,
/// as protobuf wants both.
#[derive(Debug, Clone, Copy)]
struct Groups<'a> {
    kind: MetricKind,
    number: u32,
    /// The metric's fields from the first group on, already read once.
    rest: Cursor<'a>,
}

impl<'a> Groups<'a> {
    fn messages(self) -> impl Iterator<Item = &'a [u8]> {
        delimited(self.rest, self.number)
    }

    fn points(self) -> impl Iterator<Item = &'a [u8]> {
        self.messages().flat_map(|group| delimited(Cursor::new(group), 1))
    }
}

/// Reads data points. One for each request.
pub(super) struct Points<'a> {
    row: PointRow<'a>,
    metadata: Attributes<'a>,
    columns: PointColumns,
    max_elements: usize,
}

impl<'a> SignalRows<'a> for Points<'a> {
    fn new(limits: Limits, body: usize) -> Self {
        Points {
            row: PointRow::new(limits),
            metadata: Attributes::new(limits),
            columns: PointColumns::new(body),
            max_elements: limits.max_elements,
        }
    }

    fn rows(&self) -> usize {
        self.columns.rows()
    }

    fn elements(&self) -> usize {
        self.columns.elements()
    }

    fn append(&mut self, message: &'a [u8], report: &mut Report) -> Result<(), ArrowError> {
        let Ok(metric) = Metric::read(message) else {
            report.reject(Reject::Malformed, 1);
            return Ok(());
        };
        let Some(data) = metric.data else { return Ok(()) };
        let kind = data.kind;
        let before = self.columns.rows();
        let mut shared = Anomalies::NONE;
        let texts = MetricTexts {
            kind: kind.name(),
            name: &lossy(metric.name, &mut shared),
            description: &lossy(metric.description, &mut shared),
            unit: &lossy(metric.unit, &mut shared),
            metadata: self.read_metadata(&metric.metadata, report),
            temporality: kind
                .has_temporality()
                .then(|| super::field::enum_name(&TEMPORALITIES, metric.temporality, &mut shared)),
            is_monotonic: (kind == MetricKind::Sum).then_some(metric.is_monotonic),
        };
        for point in data.points() {
            // One metric may hold all of a request's points: the envelope, which refuses the request, looks too late.
            if self.columns.elements() > self.max_elements {
                break;
            }
            match self.row.append(kind, point, shared, &mut self.columns) {
                Ok(anomalies) => report.kept(anomalies),
                Err(reason) => report.reject(reason, 1),
            }
        }
        let rows = self.columns.rows() - before;
        self.columns.push_metric(&texts, rows)
    }

    fn finish(self, origin: OriginColumns, received: Nanos) -> Result<RecordBatch, ArrowError> {
        self.columns.finish(origin, received)
    }
}

impl<'a> Points<'a> {
    fn read_metadata(&mut self, pairs: &[&'a [u8]], report: &mut Report) -> Option<String> {
        if pairs.is_empty() {
            return None;
        }
        for lossy in [false, true] {
            self.metadata.clear();
            self.metadata.set_lossy(lossy);
            self.metadata.begin();
            let whole = pairs.iter().try_for_each(|pair| self.metadata.add(pair));
            let map = self.metadata.finish();
            let Some(text) = self.metadata.as_str() else { continue };
            if whole.is_err() {
                report.unreadable_origin();
            }
            report.origin(self.metadata.anomalies());
            return map.and_then(|map| text.get(map)).map(str::to_owned);
        }
        None
    }
}

/// What all points of a metric have in common.
struct MetricTexts<'t> {
    kind: &'static str,
    name: &'t str,
    description: &'t str,
    unit: &'t str,
    metadata: Option<String>,
    temporality: Option<&'static str>,
    is_monotonic: Option<bool>,
}

/// The fields `number` of a message that was found whole.
fn delimited(mut cursor: Cursor<'_>, number: u32) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while let Ok(Some(field)) = cursor.next() {
            if field.number == number {
                return field.bytes().ok();
            }
        }
        None
    })
}
