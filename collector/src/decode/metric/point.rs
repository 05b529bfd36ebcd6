//! One data point on its way into the table. The five kinds of OTLP share most fields, under different numbers.

use std::ops::Range;

use model::Nanos;

use super::super::attr::Attributes;
use super::super::field::{optional_id, saturate};
use super::super::limits::Limits;
use super::super::report::{Anomalies, Reject};
use super::super::wire::{Cursor, Field, Walk};
use super::MetricKind;
use super::columns::PointColumns;

/// A point as read. Its buffers serve one point after the other.
#[derive(Debug)]
pub(super) struct PointRow<'a> {
    fields: Fields,
    bounds: Vec<f64>,
    counts: Vec<u64>,
    positive: Buckets,
    negative: Buckets,
    quantiles: Vec<(f64, f64)>,
    exemplars: Vec<Exemplar<'a>>,
    attributes: Attributes<'a>,
    /// Attributes of exemplars.
    filtered: Attributes<'a>,
    anomalies: Anomalies,
    limits: Limits,
}

/// The single values.
#[derive(Debug, Default)]
struct Fields {
    start: u64,
    time: u64,
    value: Option<Number>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    flags: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    pub fn as_double(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        }
    }

    pub fn as_int(self) -> Option<i64> {
        match self {
            Number::Int(value) => Some(value),
            Number::Double(_) => None,
        }
    }
}

/// One side of an exponential histogram.
#[derive(Debug, Default)]
struct Buckets {
    offset: Option<i32>,
    counts: Vec<u64>,
}

impl Buckets {
    fn clear(&mut self) {
        self.offset = None;
        self.counts.clear();
    }

    fn read(&mut self, message: &[u8], most: usize) -> Walk<()> {
        self.offset.get_or_insert(0);
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => self.offset = Some(field.sint32()?),
                2 => field.each_varint(|count| push_bounded(&mut self.counts, count, most))?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// One more than `most` is enough to know that the point is rejected.
fn push_bounded<T>(values: &mut Vec<T>, value: T, most: usize) {
    if values.len() <= most {
        values.push(value);
    }
}

#[derive(Debug, Default)]
struct Exemplar<'a> {
    time: u64,
    value: Option<Number>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    filtered: Option<Range<usize>>,
}

impl<'a> PointRow<'a> {
    pub fn new(limits: Limits) -> Self {
        PointRow {
            fields: Fields::default(),
            bounds: Vec::new(),
            counts: Vec::new(),
            positive: Buckets::default(),
            negative: Buckets::default(),
            quantiles: Vec::new(),
            exemplars: Vec::new(),
            attributes: Attributes::new(limits),
            filtered: Attributes::new(limits),
            anomalies: Anomalies::NONE,
            limits,
        }
    }

    /// Reads an encoded point and appends it to `columns`, or says why not. `shared` are the metric's anomalies.
    pub fn append(
        &mut self,
        kind: MetricKind,
        message: &'a [u8],
        shared: Anomalies,
        columns: &mut PointColumns,
    ) -> Result<Anomalies, Reject> {
        self.clear(false);
        self.read(kind, message).map_err(|_| Reject::Malformed)?;
        if self.attributes.as_str().is_none() || self.filtered.as_str().is_none() {
            self.clear(true);
            self.read(kind, message).map_err(|_| Reject::Malformed)?;
        }
        self.anomalies.add(shared);
        self.commit(kind, columns)
    }

    fn clear(&mut self, lossy: bool) {
        self.fields = Fields::default();
        self.bounds.clear();
        self.counts.clear();
        self.positive.clear();
        self.negative.clear();
        self.quantiles.clear();
        self.exemplars.clear();
        self.attributes.clear();
        self.attributes.set_lossy(lossy);
        self.filtered.clear();
        self.filtered.set_lossy(lossy);
        self.anomalies = Anomalies::NONE;
        self.attributes.begin();
    }

    fn read(&mut self, kind: MetricKind, message: &'a [u8]) -> Walk<()> {
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                2 => self.fields.start = field.fixed64()?,
                3 => self.fields.time = field.fixed64()?,
                _ => match kind {
                    MetricKind::Gauge | MetricKind::Sum => self.read_number(field)?,
                    MetricKind::Histogram => self.read_histogram(field)?,
                    MetricKind::ExponentialHistogram => self.read_exponential(field)?,
                    MetricKind::Summary => self.read_summary(field)?,
                },
            }
        }
        Ok(())
    }

    fn read_number(&mut self, field: Field<'a>) -> Walk<()> {
        match field.number {
            4 => self.fields.value = Some(Number::Double(field.double()?)),
            5 => self.read_exemplar(field.bytes()?)?,
            6 => self.fields.value = Some(Number::Int(field.fixed64()? as i64)),
            7 => self.attributes.add(field.bytes()?)?,
            8 => self.fields.flags = field.uint32()?,
            _ => {}
        }
        Ok(())
    }

    fn read_histogram(&mut self, field: Field<'a>) -> Walk<()> {
        match field.number {
            4 => self.fields.count = field.fixed64()?,
            5 => self.fields.sum = Some(field.double()?),
            6 => field.each_fixed64(|count| push_bounded(&mut self.counts, count, self.limits.max_buckets))?,
            7 => field.each_fixed64(|bound| {
                push_bounded(&mut self.bounds, f64::from_bits(bound), self.limits.max_buckets);
            })?,
            8 => self.read_exemplar(field.bytes()?)?,
            9 => self.attributes.add(field.bytes()?)?,
            10 => self.fields.flags = field.uint32()?,
            11 => self.fields.min = Some(field.double()?),
            12 => self.fields.max = Some(field.double()?),
            _ => {}
        }
        Ok(())
    }

    fn read_exponential(&mut self, field: Field<'a>) -> Walk<()> {
        match field.number {
            1 => self.attributes.add(field.bytes()?)?,
            4 => self.fields.count = field.fixed64()?,
            5 => self.fields.sum = Some(field.double()?),
            6 => self.fields.scale = field.sint32()?,
            7 => self.fields.zero_count = field.fixed64()?,
            8 => self.positive.read(field.bytes()?, self.limits.max_buckets)?,
            9 => self.negative.read(field.bytes()?, self.limits.max_buckets)?,
            10 => self.fields.flags = field.uint32()?,
            11 => self.read_exemplar(field.bytes()?)?,
            12 => self.fields.min = Some(field.double()?),
            13 => self.fields.max = Some(field.double()?),
            14 => self.fields.zero_threshold = field.double()?,
            _ => {}
        }
        Ok(())
    }

    fn read_summary(&mut self, field: Field<'a>) -> Walk<()> {
        match field.number {
            4 => self.fields.count = field.fixed64()?,
            5 => self.fields.sum = Some(field.double()?),
            6 => self.read_quantile(field.bytes()?)?,
            7 => self.attributes.add(field.bytes()?)?,
            8 => self.fields.flags = field.uint32()?,
            _ => {}
        }
        Ok(())
    }

    fn read_quantile(&mut self, message: &[u8]) -> Walk<()> {
        if self.quantiles.len() == self.limits.max_list {
            self.anomalies.add(Anomalies::TRUNCATED);
            return Ok(());
        }
        let (mut quantile, mut value) = (0.0, 0.0);
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => quantile = field.double()?,
                2 => value = field.double()?,
                _ => {}
            }
        }
        self.quantiles.push((quantile, value));
        Ok(())
    }

    fn read_exemplar(&mut self, message: &'a [u8]) -> Walk<()> {
        if self.exemplars.len() == self.limits.max_list {
            self.anomalies.add(Anomalies::TRUNCATED);
            return Ok(());
        }
        let mut exemplar = Exemplar::default();
        self.filtered.begin();
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                2 => exemplar.time = field.fixed64()?,
                3 => exemplar.value = Some(Number::Double(field.double()?)),
                4 => exemplar.span_id = field.bytes()?,
                5 => exemplar.trace_id = field.bytes()?,
                6 => exemplar.value = Some(Number::Int(field.fixed64()? as i64)),
                7 => self.filtered.add(field.bytes()?)?,
                _ => {}
            }
        }
        exemplar.filtered = self.filtered.finish();
        self.exemplars.push(exemplar);
        Ok(())
    }

    fn commit(&mut self, kind: MetricKind, columns: &mut PointColumns) -> Result<Anomalies, Reject> {
        let start = Nanos::try_from(self.fields.start).map_err(|_| Reject::Time)?;
        let time = Nanos::try_from(self.fields.time).map_err(|_| Reject::Time)?;
        let lists = [self.bounds.len(), self.counts.len(), self.positive.counts.len(), self.negative.counts.len()];
        if lists.iter().any(|len| *len > self.limits.max_buckets) {
            return Err(Reject::Buckets);
        }
        let map = self.attributes.finish();
        columns.start.push(start);
        columns.time.push(time);
        columns.value.push_option(self.fields.value.map(Number::as_double));
        columns.value_int.push_option(self.fields.value.and_then(Number::as_int));
        columns.flags.push(i64::from(self.fields.flags));
        let text = self.attributes.as_str().unwrap_or_default();
        columns.attributes.push_option(map.and_then(|map| text.get(map)));
        self.commit_distribution(kind, columns);
        self.commit_exponential(kind, columns);
        self.commit_exemplars(columns);
        self.anomalies.add(self.attributes.anomalies());
        self.anomalies.add(self.filtered.anomalies());
        columns.anomalies.push(self.anomalies);
        Ok(self.anomalies)
    }

    /// What histograms of both kinds and summaries have.
    fn commit_distribution(&mut self, kind: MetricKind, columns: &mut PointColumns) {
        let is_number = matches!(kind, MetricKind::Gauge | MetricKind::Sum);
        let sum = if kind == MetricKind::Summary { self.fields.sum.or(Some(0.0)) } else { self.fields.sum };
        let anomalies = &mut self.anomalies;
        columns.count.push_option((!is_number).then(|| saturate(self.fields.count, anomalies)));
        columns.sum.push_option(sum);
        columns.min.push_option(self.fields.min);
        columns.max.push_option(self.fields.max);
        columns.bounds.push(self.bounds.len());
        columns.bound_values.extend_from_slice(&self.bounds);
        columns.counts.push(self.counts.len());
        columns.count_values.extend(self.counts.iter().map(|count| saturate(*count, anomalies)));
        columns.quantiles.push(self.quantiles.len());
        for (quantile, value) in &self.quantiles {
            columns.quantile.push(*quantile);
            columns.quantile_value.push(*value);
        }
    }

    fn commit_exponential(&mut self, kind: MetricKind, columns: &mut PointColumns) {
        let fields = Some(&self.fields).filter(|_| kind == MetricKind::ExponentialHistogram);
        let anomalies = &mut self.anomalies;
        columns.scale.push_option(fields.map(|fields| fields.scale));
        columns.zero_count.push_option(fields.map(|fields| saturate(fields.zero_count, anomalies)));
        columns.zero_threshold.push_option(fields.map(|fields| fields.zero_threshold));
        columns.positive_offset.push_option(self.positive.offset);
        columns.positive.push(self.positive.counts.len());
        columns.positive_values.extend(self.positive.counts.iter().map(|count| saturate(*count, anomalies)));
        columns.negative_offset.push_option(self.negative.offset);
        columns.negative.push(self.negative.counts.len());
        columns.negative_values.extend(self.negative.counts.iter().map(|count| saturate(*count, anomalies)));
    }

    fn commit_exemplars(&mut self, columns: &mut PointColumns) {
        columns.exemplars.push(self.exemplars.len());
        if self.exemplars.is_empty() {
            return;
        }
        let text = self.filtered.as_str().unwrap_or_default();
        let anomalies = &mut self.anomalies;
        for exemplar in self.exemplars.drain(..) {
            columns.exemplar_time.push(saturate(exemplar.time, anomalies));
            columns.exemplar_value.push_option(exemplar.value.map(Number::as_double));
            columns.exemplar_value_int.push_option(exemplar.value.and_then(Number::as_int));
            let trace_id = optional_id(exemplar.trace_id, Anomalies::BAD_TRACE_ID, anomalies);
            columns.exemplar_trace_id.push_option(trace_id);
            let span_id = optional_id(exemplar.span_id, Anomalies::BAD_SPAN_ID, anomalies);
            columns.exemplar_span_id.push_option(span_id);
            columns.exemplar_filtered.push_option(exemplar.filtered.and_then(|map| text.get(map)));
        }
    }
}
