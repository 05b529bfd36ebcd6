//! One span on its way into the table: read into a row first, so that a broken span leaves no trace in the columns.

use std::borrow::Cow;
use std::ops::Range;

use model::{Nanos, SpanId, TraceId};

use super::super::attr::Attributes;
use super::super::field::{enum_name, lossy, optional_id, saturate};
use super::super::limits::Limits;
use super::super::promoted::{self, Slots};
use super::super::report::{Anomalies, Reject};
use super::super::wire::{Cursor, Walk};
use super::columns::SpanColumns;

/// `SpanKind` by number.
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
/// `StatusCode` by number.
const STATUS_CODES: [&str; 3] = ["UNSET", "OK", "ERROR"];

/// A span as read. Its buffers serve one span after the other.
#[derive(Debug)]
pub(super) struct SpanRow<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: Cow<'a, str>,
    flags: u32,
    name: Cow<'a, str>,
    kind: i32,
    start: u64,
    end: u64,
    status_code: i32,
    status_message: Cow<'a, str>,
    attributes: Attributes<'a>,
    promoted: Slots<'a>,
    dropped_attributes: u32,
    events: Vec<Event<'a>>,
    dropped_events: u32,
    /// Events beyond [`Limits::max_list`].
    events_cut: u32,
    links: Vec<Link<'a>>,
    dropped_links: u32,
    /// Links beyond [`Limits::max_list`].
    links_cut: u32,
    /// Attributes of events and links.
    nested: Attributes<'a>,
    anomalies: Anomalies,
    max_list: usize,
}

#[derive(Debug, Default)]
struct Event<'a> {
    time: u64,
    name: Cow<'a, str>,
    attributes: Option<Range<usize>>,
    dropped: u32,
}

#[derive(Debug, Default)]
struct Link<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: Cow<'a, str>,
    attributes: Option<Range<usize>>,
    dropped: u32,
    flags: u32,
}

impl<'a> SpanRow<'a> {
    pub fn new(limits: Limits) -> Self {
        SpanRow {
            trace_id: &[],
            span_id: &[],
            parent_span_id: &[],
            trace_state: Cow::Borrowed(""),
            flags: 0,
            name: Cow::Borrowed(""),
            kind: 0,
            start: 0,
            end: 0,
            status_code: 0,
            status_message: Cow::Borrowed(""),
            attributes: Attributes::new(limits),
            promoted: Slots::new(&promoted::SPAN),
            dropped_attributes: 0,
            events: Vec::new(),
            dropped_events: 0,
            events_cut: 0,
            links: Vec::new(),
            dropped_links: 0,
            links_cut: 0,
            nested: Attributes::new(limits),
            anomalies: Anomalies::NONE,
            max_list: limits.max_list,
        }
    }

    /// Reads an encoded `Span` and appends it to `columns`, or says why not. Tells the row's anomalies.
    pub fn append(&mut self, message: &'a [u8], columns: &mut SpanColumns) -> Result<Anomalies, Reject> {
        self.clear(false);
        self.read(message).map_err(|_| Reject::Malformed)?;
        if self.attributes.as_str().is_none() || self.nested.as_str().is_none() {
            self.clear(true);
            self.read(message).map_err(|_| Reject::Malformed)?;
        }
        self.commit(columns)
    }

    fn clear(&mut self, lossy: bool) {
        (self.trace_id, self.span_id, self.parent_span_id) = (&[], &[], &[]);
        self.trace_state = Cow::Borrowed("");
        self.name = Cow::Borrowed("");
        self.status_message = Cow::Borrowed("");
        (self.flags, self.kind, self.start, self.end, self.status_code) = (0, 0, 0, 0, 0);
        (self.dropped_attributes, self.dropped_events, self.dropped_links) = (0, 0, 0);
        (self.events_cut, self.links_cut) = (0, 0);
        self.attributes.clear();
        self.attributes.set_lossy(lossy);
        self.nested.clear();
        self.nested.set_lossy(lossy);
        self.promoted.clear();
        self.events.clear();
        self.links.clear();
        self.anomalies = Anomalies::NONE;
        self.attributes.begin();
    }

    fn read(&mut self, message: &'a [u8]) -> Walk<()> {
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => self.trace_id = field.bytes()?,
                2 => self.span_id = field.bytes()?,
                3 => self.trace_state = lossy(field.bytes()?, &mut self.anomalies),
                4 => self.parent_span_id = field.bytes()?,
                5 => self.name = lossy(field.bytes()?, &mut self.anomalies),
                6 => self.kind = field.int32()?,
                7 => self.start = field.fixed64()?,
                8 => self.end = field.fixed64()?,
                9 => self.attributes.add_or_promote(field.bytes()?, &mut self.promoted)?,
                10 => self.dropped_attributes = field.uint32()?,
                11 => self.read_event(field.bytes()?)?,
                12 => self.dropped_events = field.uint32()?,
                13 => self.read_link(field.bytes()?)?,
                14 => self.dropped_links = field.uint32()?,
                15 => self.read_status(field.bytes()?)?,
                16 => self.flags = field.fixed32()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_status(&mut self, message: &'a [u8]) -> Walk<()> {
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                2 => self.status_message = lossy(field.bytes()?, &mut self.anomalies),
                3 => self.status_code = field.int32()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_event(&mut self, message: &'a [u8]) -> Walk<()> {
        if self.events.len() == self.max_list {
            self.events_cut += 1;
            return Ok(());
        }
        let mut event = Event::default();
        self.nested.begin();
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => event.time = field.fixed64()?,
                2 => event.name = lossy(field.bytes()?, &mut self.anomalies),
                3 => self.nested.add(field.bytes()?)?,
                4 => event.dropped = field.uint32()?,
                _ => {}
            }
        }
        event.dropped = event.dropped.saturating_add(self.nested.dropped);
        event.attributes = self.nested.finish();
        self.events.push(event);
        Ok(())
    }

    fn read_link(&mut self, message: &'a [u8]) -> Walk<()> {
        if self.links.len() == self.max_list {
            self.links_cut += 1;
            return Ok(());
        }
        let mut link = Link::default();
        self.nested.begin();
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => link.trace_id = field.bytes()?,
                2 => link.span_id = field.bytes()?,
                3 => link.trace_state = lossy(field.bytes()?, &mut self.anomalies),
                4 => self.nested.add(field.bytes()?)?,
                5 => link.dropped = field.uint32()?,
                6 => link.flags = field.fixed32()?,
                _ => {}
            }
        }
        link.dropped = link.dropped.saturating_add(self.nested.dropped);
        link.attributes = self.nested.finish();
        self.links.push(link);
        Ok(())
    }

    fn commit(&mut self, columns: &mut SpanColumns) -> Result<Anomalies, Reject> {
        let trace_id = TraceId::from_wire(self.trace_id).ok_or(Reject::TraceId)?;
        let span_id = SpanId::from_wire(self.span_id).ok_or(Reject::SpanId)?;
        let start = Nanos::try_from(self.start).map_err(|_| Reject::Time)?;
        let end = Nanos::try_from(self.end).map_err(|_| Reject::Time)?;
        let map = self.attributes.finish();
        self.dropped_attributes = self.dropped_attributes.saturating_add(self.attributes.dropped);
        if self.events_cut > 0 || self.links_cut > 0 {
            self.anomalies.add(Anomalies::TRUNCATED);
        }
        if end < start {
            self.anomalies.add(Anomalies::TIME_INVERTED);
        }

        columns.trace_id.push(&trace_id.0);
        columns.span_id.push(&span_id.0);
        let parent = optional_id::<8>(self.parent_span_id, Anomalies::BAD_PARENT_ID, &mut self.anomalies);
        columns.parent_span_id.push_option(parent);
        columns.trace_state.push_non_empty(&self.trace_state);
        columns.flags.push(i64::from(self.flags));
        columns.name.push(&self.name);
        columns.kind.push(enum_name(&KINDS, self.kind, &mut self.anomalies));
        columns.start.push(start);
        columns.end.push(end);
        columns.duration.push((end - start).max(0));
        columns.status_code.push(enum_name(&STATUS_CODES, self.status_code, &mut self.anomalies));
        columns.status_message.push_non_empty(&self.status_message);
        let text = self.attributes.as_str().unwrap_or_default();
        columns.attributes.push_option(map.and_then(|map| text.get(map)));
        columns.dropped_attributes.push(i64::from(self.dropped_attributes));
        columns.push_promoted(&self.promoted);
        self.commit_events(columns);
        self.commit_links(columns);

        self.anomalies.add(self.attributes.anomalies());
        self.anomalies.add(self.nested.anomalies());
        columns.anomalies.push(self.anomalies);
        Ok(self.anomalies)
    }

    fn commit_events(&mut self, columns: &mut SpanColumns) {
        columns.events.push(self.events.len());
        columns.dropped_events.push(i64::from(self.dropped_events) + i64::from(self.events_cut));
        if self.events.is_empty() {
            return;
        }
        let text = self.nested.as_str().unwrap_or_default();
        for event in self.events.drain(..) {
            columns.event_time.push(saturate(event.time, &mut self.anomalies));
            columns.event_name.push(&event.name);
            columns.event_attributes.push_option(event.attributes.and_then(|map| text.get(map)));
            columns.event_dropped.push(i64::from(event.dropped));
        }
    }

    fn commit_links(&mut self, columns: &mut SpanColumns) {
        columns.links.push(self.links.len());
        columns.dropped_links.push(i64::from(self.dropped_links) + i64::from(self.links_cut));
        if self.links.is_empty() {
            return;
        }
        let text = self.nested.as_str().unwrap_or_default();
        for link in self.links.drain(..) {
            let (trace_id, span_id) = (TraceId::from_wire(link.trace_id), SpanId::from_wire(link.span_id));
            if trace_id.is_none() || span_id.is_none() {
                self.anomalies.add(Anomalies::BAD_LINK_ID);
            }
            columns.link_trace_id.push_option(trace_id.as_ref().map(|id| &id.0));
            columns.link_span_id.push_option(span_id.as_ref().map(|id| &id.0));
            columns.link_trace_state.push_non_empty(&link.trace_state);
            columns.link_attributes.push_option(link.attributes.and_then(|map| text.get(map)));
            columns.link_dropped.push(i64::from(link.dropped));
            columns.link_flags.push(i64::from(link.flags));
        }
    }
}
