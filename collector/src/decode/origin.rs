//! Where telemetry comes from: `Resource` and `InstrumentationScope`, the same in every signal.
//!
//! Both hold for many rows and may follow them on the wire. Their columns are therefore written as runs when the
//! enclosing message ends: each text is encoded and stored once, and every row gets a view of it.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use model::schema::{PROMOTED_RESOURCE, UNKNOWN_SERVICE};

use super::attr::Attributes;
use super::columns::{Ints, Nulls, Texts, dense};
use super::field::lossy;
use super::limits::Limits;
use super::promoted::{self, Identity, Slots};
use super::report::{Anomalies, Report};
use super::text::JsonText;
use super::wire::{Cursor, Walk};

/// The columns of resource and scope.
#[derive(Debug)]
pub(super) struct OriginColumns {
    service: [Texts; 4],
    resource_attributes: Texts,
    resource_dropped: Ints,
    entity_refs: Texts,
    resource_schema_url: Texts,
    scope_name: Texts,
    scope_version: Texts,
    scope_attributes: Texts,
    scope_dropped: Ints,
    scope_schema_url: Texts,
    promoted: Vec<Texts>,
    rows: usize,
}

/// Finished columns, in the two places in which every schema has them.
pub(super) struct FinishedOrigin {
    /// `service_name` to `instance_id`.
    pub service: Vec<ArrayRef>,
    /// `resource_attributes` to `received_time_unix_nano`.
    pub rest: Vec<ArrayRef>,
}

impl OriginColumns {
    pub fn new() -> Self {
        let texts = || Texts::new(1024);
        OriginColumns {
            service: [texts(), texts(), texts(), texts()],
            resource_attributes: texts(),
            resource_dropped: Ints::default(),
            entity_refs: texts(),
            resource_schema_url: texts(),
            scope_name: texts(),
            scope_version: texts(),
            scope_attributes: texts(),
            scope_dropped: Ints::default(),
            scope_schema_url: texts(),
            promoted: PROMOTED_RESOURCE.iter().map(|_| texts()).collect(),
            rows: 0,
        }
    }

    pub fn finish(self, received: i64, nulls: &mut Nulls) -> FinishedOrigin {
        let mut rest = vec![
            self.resource_attributes.finish(nulls),
            self.resource_dropped.finish(nulls),
            self.entity_refs.finish(nulls),
            self.resource_schema_url.finish(nulls),
            self.scope_name.finish(nulls),
            self.scope_version.finish(nulls),
            self.scope_attributes.finish(nulls),
            self.scope_dropped.finish(nulls),
            self.scope_schema_url.finish(nulls),
        ];
        rest.extend(self.promoted.into_iter().map(|column| column.finish(nulls)));
        rest.push(dense(vec![received; self.rows]));
        let service = self.service.into_iter().map(|column| column.finish(nulls)).collect();
        FinishedOrigin { service, rest }
    }
}

/// What the messages around the rows are made of; reused from one to the next.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub columns: OriginColumns,
    attributes: Attributes<'a>,
    slots: Slots<'a>,
    entities: JsonText,
}

/// The encoded parts of a `Resource…` or `Scope…` message, as they were found.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    /// Field 1. Protobuf merges a message that comes twice, so each is read.
    pub messages: Vec<&'a [u8]>,
    pub schema_url: &'a [u8],
}

/// No client sends a resource in pieces; one that does has this many.
const MOST_PIECES: usize = 64;

impl<'a> Parts<'a> {
    pub fn merge(&mut self, message: &'a [u8], report: &mut Report) {
        if self.messages.len() < MOST_PIECES {
            self.messages.push(message);
        } else {
            report.unreadable_origin();
        }
    }
}

impl<'a> Origin<'a> {
    pub fn new(limits: Limits) -> Self {
        Origin {
            columns: OriginColumns::new(),
            attributes: Attributes::new(limits),
            slots: Slots::new(&promoted::RESOURCE),
            entities: JsonText::default(),
        }
    }

    /// Writes the columns of a resource for the `rows` that belong to it. Without rows there is nothing to read.
    pub fn resource(&mut self, parts: &Parts<'a>, rows: usize, report: &mut Report) -> Result<(), ArrowError> {
        if rows == 0 {
            return Ok(());
        }
        let mut anomalies = Anomalies::NONE;
        let (mut dropped, mut whole) = self.read_resource(&parts.messages, false);
        if self.attributes.as_str().is_none() || self.entities.as_str().is_none() {
            (dropped, whole) = self.read_resource(&parts.messages, true);
        }
        if whole.is_err() {
            report.unreadable_origin();
        }
        let has_entities = !self.entities.is_empty_array();
        self.entities.close(false);
        let map = self.attributes.finish();
        let schema_url = lossy(parts.schema_url, &mut anomalies);
        anomalies.add(self.attributes.anomalies());
        anomalies.add(self.entities.anomalies);
        report.origin(anomalies);

        let columns = &mut self.columns;
        columns.rows += rows;
        columns.resource_attributes.push_n(slice(&self.attributes, map), rows)?;
        columns.resource_dropped.push_n(Some(i64::from(dropped)), rows);
        columns.entity_refs.push_n(self.entities.as_str().filter(|_| has_entities), rows)?;
        columns.resource_schema_url.push_n(non_empty(&schema_url), rows)?;
        for (slot, column) in columns.promoted.iter_mut().enumerate() {
            column.push_n(self.slots.text(slot), rows)?;
        }
        let identity = |which: Identity| self.slots.text(which.slot()).filter(|text| !text.is_empty());
        let named = |key| promoted::RESOURCE.find(key).and_then(|(slot, _)| self.slots.text(slot));
        let instance = identity(Identity::Instance)
            .or_else(|| named(b"k8s.pod.name").filter(|text| !text.is_empty()))
            .or_else(|| named(b"host.name").filter(|text| !text.is_empty()));
        let [name, namespace, version, instance_id] = &mut columns.service;
        name.push_n(Some(identity(Identity::Name).unwrap_or(UNKNOWN_SERVICE)), rows)?;
        namespace.push_n(identity(Identity::Namespace), rows)?;
        version.push_n(identity(Identity::Version), rows)?;
        instance_id.push_n(instance, rows)
    }

    /// Leaves the map of attributes and the array of entities open. What stands before a fault is kept.
    fn read_resource(&mut self, messages: &[&'a [u8]], lossy: bool) -> (u32, Walk<()>) {
        self.slots.clear();
        self.entities.clear();
        self.entities.lossy = lossy;
        self.entities.open_array();
        self.attributes.clear();
        self.attributes.set_lossy(lossy);
        self.attributes.begin();
        let mut dropped = 0;
        let whole = messages.iter().try_for_each(|message| self.read_resource_fields(message, &mut dropped));
        (dropped.saturating_add(self.attributes.dropped), whole)
    }

    fn read_resource_fields(&mut self, message: &'a [u8], dropped: &mut u32) -> Walk<()> {
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => self.attributes.add_and_copy(field.bytes()?, &mut self.slots)?,
                2 => *dropped = field.uint32()?,
                3 => entity_ref(&mut self.entities, field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the columns of a scope for the `rows` that belong to it.
    pub fn scope(&mut self, parts: &Parts<'a>, rows: usize, report: &mut Report) -> Result<(), ArrowError> {
        if rows == 0 {
            return Ok(());
        }
        let mut scope = self.read_scope(&parts.messages, false);
        if self.attributes.as_str().is_none() {
            scope = self.read_scope(&parts.messages, true);
        }
        if scope.broken {
            report.unreadable_origin();
        }
        let map = self.attributes.finish();
        let mut anomalies = self.attributes.anomalies();
        let name = lossy(scope.name, &mut anomalies);
        let version = lossy(scope.version, &mut anomalies);
        let schema_url = lossy(parts.schema_url, &mut anomalies);
        report.origin(anomalies);

        let columns = &mut self.columns;
        columns.scope_name.push_n(non_empty(&name), rows)?;
        columns.scope_version.push_n(non_empty(&version), rows)?;
        columns.scope_attributes.push_n(slice(&self.attributes, map), rows)?;
        columns.scope_dropped.push_n(Some(i64::from(scope.dropped)), rows);
        columns.scope_schema_url.push_n(non_empty(&schema_url), rows)
    }

    fn read_scope(&mut self, messages: &[&'a [u8]], lossy: bool) -> Scope<'a> {
        self.attributes.clear();
        self.attributes.set_lossy(lossy);
        self.attributes.begin();
        let mut scope = Scope::default();
        scope.broken = messages.iter().try_for_each(|message| scope.read(message, &mut self.attributes)).is_err();
        scope.dropped = scope.dropped.saturating_add(self.attributes.dropped);
        scope
    }
}

#[derive(Debug, Default)]
struct Scope<'a> {
    name: &'a [u8],
    version: &'a [u8],
    dropped: u32,
    broken: bool,
}

impl<'a> Scope<'a> {
    fn read(&mut self, message: &'a [u8], attributes: &mut Attributes<'a>) -> Walk<()> {
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => self.name = field.bytes()?,
                2 => self.version = field.bytes()?,
                3 => attributes.add(field.bytes()?)?,
                4 => self.dropped = field.uint32()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends an `EntityRef` to the open array, with the names of OTLP/JSON.
fn entity_ref(out: &mut JsonText, message: &[u8]) -> Walk<()> {
    const FIELDS: [(u32, &str, bool); 4] =
        [(1, "schemaUrl", false), (2, "type", false), (3, "idKeys", true), (4, "descriptionKeys", true)];
    let mark = out.mark();
    out.open_object();
    for (number, key, repeated) in FIELDS {
        if let Err(malformed) = entity_field(out, message, number, key, repeated) {
            out.rollback(mark);
            return Err(malformed);
        }
    }
    out.close(false);
    out.end_element();
    Ok(())
}

/// Appends one member, unless it is absent or empty.
fn entity_field(out: &mut JsonText, message: &[u8], number: u32, key: &str, repeated: bool) -> Walk<()> {
    let mut text: Option<&[u8]> = None;
    let mut cursor = Cursor::new(message);
    while let Some(field) = cursor.next()? {
        if field.number != number {
            continue;
        }
        let first = text.replace(field.bytes()?).is_none();
        if repeated {
            if first {
                out.key(key.as_bytes());
                out.open_array();
            }
            out.string(text.unwrap_or_default());
            out.end_element();
        }
    }
    match text {
        Some(_) if repeated => out.close(false),
        Some(text) if !text.is_empty() => {
            out.key(key.as_bytes());
            out.string(text);
        }
        _ => return Ok(()),
    }
    out.end_entry();
    Ok(())
}

fn slice<'t>(attributes: &'t Attributes<'_>, map: Option<std::ops::Range<usize>>) -> Option<&'t str> {
    attributes.as_str()?.get(map?)
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
