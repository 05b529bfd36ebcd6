//! The columns of `metrics`, in the order of `model::schema`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::error::ArrowError;
use model::schema;
use model::{Nanos, Signal};

use super::super::columns::{AnomalyTexts, Bools, Doubles, Ids, Ints, Ints32, Lists, Nulls, Texts, dense};
use super::super::limits::ROW;
use super::super::origin::OriginColumns;
use super::MetricTexts;

/// The columns of `metrics` but for resource and scope.
#[derive(Debug)]
pub(super) struct PointColumns {
    name: Texts,
    kind: Texts,
    unit: Texts,
    description: Texts,
    metadata: Texts,
    temporality: Texts,
    is_monotonic: Bools,
    pub(super) start: Vec<i64>,
    pub(super) time: Vec<i64>,
    pub(super) value: Doubles,
    pub(super) value_int: Ints,
    pub(super) count: Ints,
    pub(super) sum: Doubles,
    pub(super) min: Doubles,
    pub(super) max: Doubles,
    pub(super) bounds: Lists,
    pub(super) bound_values: Vec<f64>,
    pub(super) counts: Lists,
    pub(super) count_values: Vec<i64>,
    pub(super) scale: Ints32,
    pub(super) zero_count: Ints,
    pub(super) zero_threshold: Doubles,
    pub(super) positive_offset: Ints32,
    pub(super) positive: Lists,
    pub(super) positive_values: Vec<i64>,
    pub(super) negative_offset: Ints32,
    pub(super) negative: Lists,
    pub(super) negative_values: Vec<i64>,
    pub(super) quantiles: Lists,
    pub(super) quantile: Vec<f64>,
    pub(super) quantile_value: Vec<f64>,
    pub(super) exemplars: Lists,
    pub(super) exemplar_time: Vec<i64>,
    pub(super) exemplar_value: Doubles,
    pub(super) exemplar_value_int: Ints,
    pub(super) exemplar_trace_id: Ids<16>,
    pub(super) exemplar_span_id: Ids<8>,
    pub(super) exemplar_filtered: Texts,
    pub(super) flags: Vec<i64>,
    pub(super) attributes: Texts,
    pub(super) anomalies: AnomalyTexts,
}

impl PointColumns {
    /// `body` is the request's size, from which the first blocks are sized.
    pub fn new(body: usize) -> Self {
        let shared = || Texts::new(body / 64);
        PointColumns {
            name: shared(),
            kind: shared(),
            unit: shared(),
            description: shared(),
            metadata: shared(),
            temporality: shared(),
            is_monotonic: Bools::default(),
            start: Vec::new(),
            time: Vec::new(),
            value: Doubles::default(),
            value_int: Ints::default(),
            count: Ints::default(),
            sum: Doubles::default(),
            min: Doubles::default(),
            max: Doubles::default(),
            bounds: Lists::default(),
            bound_values: Vec::new(),
            counts: Lists::default(),
            count_values: Vec::new(),
            scale: Ints32::default(),
            zero_count: Ints::default(),
            zero_threshold: Doubles::default(),
            positive_offset: Ints32::default(),
            positive: Lists::default(),
            positive_values: Vec::new(),
            negative_offset: Ints32::default(),
            negative: Lists::default(),
            negative_values: Vec::new(),
            quantiles: Lists::default(),
            quantile: Vec::new(),
            quantile_value: Vec::new(),
            exemplars: Lists::default(),
            exemplar_time: Vec::new(),
            exemplar_value: Doubles::default(),
            exemplar_value_int: Ints::default(),
            exemplar_trace_id: Ids::default(),
            exemplar_span_id: Ids::default(),
            exemplar_filtered: Texts::new(body / 8),
            flags: Vec::new(),
            attributes: Texts::new(body / 2),
            anomalies: AnomalyTexts::new(),
        }
    }

    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Rows and what hangs on them; eight numbers in a list weigh as much as one other element.
    pub fn elements(&self) -> usize {
        let numbers =
            self.bound_values.len() + self.count_values.len() + self.positive_values.len() + self.negative_values.len();
        ROW * self.time.len() + self.exemplar_time.len() + self.quantile.len() + numbers / 8
    }

    /// Writes the metric's own columns for its `rows` points.
    pub fn push_metric(&mut self, metric: &MetricTexts<'_>, rows: usize) -> Result<(), ArrowError> {
        let non_empty = |text: &'_ str| !text.is_empty();
        self.name.push_n(Some(metric.name), rows)?;
        self.kind.push_n(Some(metric.kind), rows)?;
        self.unit.push_n(Some(metric.unit).filter(|text| non_empty(text)), rows)?;
        self.description.push_n(Some(metric.description).filter(|text| non_empty(text)), rows)?;
        self.metadata.push_n(metric.metadata.as_deref(), rows)?;
        self.temporality.push_n(metric.temporality, rows)?;
        self.is_monotonic.push_n(metric.is_monotonic, rows);
        Ok(())
    }

    pub fn finish(self, origin: OriginColumns, received: Nanos) -> Result<RecordBatch, ArrowError> {
        let mut nulls = Nulls::default();
        let origin = origin.finish(received, &mut nulls);
        let mut columns = vec![
            self.name.finish(&mut nulls),
            self.kind.finish(&mut nulls),
            self.unit.finish(&mut nulls),
            self.description.finish(&mut nulls),
            self.metadata.finish(&mut nulls),
            self.temporality.finish(&mut nulls),
            self.is_monotonic.finish(&mut nulls),
        ];
        columns.extend(origin.service);
        let quantile = vec![doubles(self.quantile), doubles(self.quantile_value)];
        let exemplar = vec![
            dense(self.exemplar_time),
            self.exemplar_value.finish(&mut nulls),
            self.exemplar_value_int.finish(&mut nulls),
            self.exemplar_trace_id.finish()?,
            self.exemplar_span_id.finish()?,
            self.exemplar_filtered.finish(&mut nulls),
        ];
        columns.extend([
            dense(self.start),
            dense(self.time),
            self.value.finish(&mut nulls),
            self.value_int.finish(&mut nulls),
            self.count.finish(&mut nulls),
            self.sum.finish(&mut nulls),
            self.min.finish(&mut nulls),
            self.max.finish(&mut nulls),
            self.bounds.finish(doubles(self.bound_values))?,
            self.counts.finish(dense(self.count_values))?,
            self.scale.finish(&mut nulls),
            self.zero_count.finish(&mut nulls),
            self.zero_threshold.finish(&mut nulls),
            self.positive_offset.finish(&mut nulls),
            self.positive.finish(dense(self.positive_values))?,
            self.negative_offset.finish(&mut nulls),
            self.negative.finish(dense(self.negative_values))?,
            self.quantiles.finish_structs(schema::quantile_fields(), quantile)?,
            self.exemplars.finish_structs(schema::exemplar_fields(), exemplar)?,
            dense(self.flags),
            self.attributes.finish(&mut nulls),
        ]);
        columns.extend(origin.rest);
        columns.push(self.anomalies.finish(&mut nulls));
        RecordBatch::try_new(schema::schema(Signal::Metrics), columns)
    }
}

fn doubles(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}
