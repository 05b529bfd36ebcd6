//! How long messages wait between their sending and their being taken: time that no request waits for, so that no
//! critical path shows it.
//!
//! A CONSUMER span names its PRODUCER span by a link or as its parent. The gap between the two is the message's wait.
//! Messages are kept for an even part of the PRODUCER spans' ids, so both ends of one message are in the part or out.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringViewArray};
use model::schema::column;
use model::time::MINUTE;
use model::trace::SpanKind;
use model::{Error, Result};

use super::batch::{column as array, id, ids, int, ints, trace_id};
use super::called::{self, Called, Operations};
use super::names::{NONE, TextColumn};
use super::ranking::{Observed, Operation, WaitStat};
use super::sample::{Part, hash, typical_of};
use super::scope::{Window, started_in};
use crate::fold::{Fold, Folded};
use crate::query::Query;

/// Messages that are kept, sent and taken ones together.
const KEPT: usize = 200_000;
/// How long before the first window a message may have been sent that is taken in it.
const LONGEST_WAIT: i64 = 30 * MINUTE;

/// Sees the messages that were taken in any of the windows, with those that were sent.
pub async fn messages(query: &Query, windows: &[Window]) -> Result<Folded<Messages>> {
    let whole = Window::around(windows).ok_or_else(|| Error::internal("no window for messages"))?;
    let sql = format!(
        "SELECT trace_id_bytes, span_id_bytes, parent_span_id_bytes, links, {}, {}, {} FROM spans \
         WHERE kind IN ('PRODUCER', 'CONSUMER') AND {}",
        called::columns(),
        column::START,
        column::END,
        started_in(Window { start: whole.start.saturating_sub(LONGEST_WAIT), end: whole.end }),
    );
    query.fold(&sql, Messages::default).await
}

#[derive(Default)]
pub struct Messages {
    operations: Operations,
    part: Part,
    sent: HashMap<u64, Sent>,
    taken: Vec<Taken>,
}

struct Sent {
    operation: u32,
    /// The number of its name.
    topic: u32,
    /// When the sender was done, Unix ns.
    at: i64,
}

struct Taken {
    /// The PRODUCER span.
    producer: u64,
    operation: u32,
    topic: u32,
    trace: u128,
    at: i64,
}

/// What a [`WaitStat`] is about, by numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct StatKey {
    consumer: u32,
    sender: u32,
    topic: u32,
    bin: u32,
}

/// A message that was sent and taken.
struct Message<'a> {
    sent: &'a Sent,
    taken: &'a Taken,
}

impl Message<'_> {
    /// Nanoseconds. A consumer may begin before the sender has its answer: then the message did not wait.
    fn waited(&self) -> i64 {
        (self.taken.at - self.sent.at).max(0)
    }

    fn topic(&self) -> u32 {
        if self.taken.topic == NONE { self.sent.topic } else { self.taken.topic }
    }
}

impl Messages {
    fn both_ends(&self) -> impl Iterator<Item = Message<'_>> {
        let sent = |taken: &Taken| self.sent.get(&taken.producer);
        self.taken.iter().filter_map(move |taken| sent(taken).map(|sent| Message { sent, taken }))
    }

    /// Adds the waits of the messages that were taken within the window to what was observed of it.
    pub fn add_to(&self, observed: &mut Observed, window: Window) {
        let bin = ((observed.bin_seconds * 1e9) as i64).max(1);
        let times = self.part.one_in();
        let mut stats: HashMap<StatKey, WaitStat> = HashMap::new();
        for message in self.both_ends().filter(|m| window.holds(m.taken.at)) {
            let bin = ((message.taken.at - window.start) / bin) as u32;
            let (consumer, sender) = (message.taken.operation, message.sent.operation);
            let key = StatKey { consumer, sender, topic: message.topic(), bin };
            let stat = stats.entry(key).or_insert_with(|| self.none(key));
            stat.messages += times;
            stat.waited_ns += (message.waited() as f64) * times as f64;
        }
        let mut takers: HashMap<(u32, u32), BTreeSet<u32>> = HashMap::new();
        for Message { sent, taken } in self.both_ends() {
            takers.entry((sent.operation, sent.topic)).or_default().insert(taken.operation);
        }
        let gone = self.taken.iter().filter(|taken| taken.at < window.end);
        let gone: HashSet<(u64, u32)> = gone.map(|taken| (taken.producer, taken.operation)).collect();
        for (span, sent) in self.sent.iter().filter(|(_, sent)| window.holds(sent.at)) {
            let bin = ((sent.at - window.start) / bin) as u32;
            // Whoever takes a sender's messages of a topic is meant to take them all, each group of consumers for itself.
            for &taker in takers.get(&(sent.operation, sent.topic)).into_iter().flatten() {
                let key = StatKey { consumer: taker, sender: sent.operation, topic: sent.topic, bin };
                let stat = stats.entry(key).or_insert_with(|| self.none(key));
                stat.sent += times;
                stat.left += if gone.contains(&(*span, taker)) { 0 } else { times };
            }
        }
        observed.waits = stats.into_values().collect();
        let place = |a: &WaitStat, b: &WaitStat| {
            (&a.consumer, &a.sender, &a.topic, a.bin).cmp(&(&b.consumer, &b.sender, &b.topic, b.bin))
        };
        observed.waits.sort_by(place);
    }

    fn none(&self, StatKey { consumer, sender, topic, bin }: StatKey) -> WaitStat {
        let [consumer, sender] = [consumer, sender].map(|number| self.operations.operation(number));
        let topic = self.operations.names.some_text(topic).map(str::to_owned);
        WaitStat { consumer, sender, topic, bin, messages: 0, waited_ns: 0.0, sent: 0, left: 0 }
    }

    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Those that were sent and taken: sender, message, taker.
    pub fn taken(&self) -> impl Iterator<Item = (u32, u64, u32)> {
        self.both_ends().map(|message| (message.sent.operation, message.taken.producer, message.taken.operation))
    }

    /// Those that were taken of something else than a PRODUCER span: what sent them, the taker, and when.
    pub fn taken_of_others(&self) -> impl Iterator<Item = (u64, u32, i64)> {
        let others = self.taken.iter().filter(|taken| !self.sent.contains_key(&taken.producer));
        others.map(|taken| (taken.producer, taken.operation, taken.at))
    }

    /// One message in so many was kept.
    pub fn one_in(&self) -> u64 {
        self.part.one_in()
    }

    /// Traces of the consumer whose messages waited about as long as the longer half of them does.
    pub fn typical(&self, consumer: &Operation, window: Window, most: usize) -> Vec<u128> {
        let number = self.operations.find(consumer);
        let waits = self
            .both_ends()
            .filter(|m| Some(m.taken.operation) == number && window.holds(m.taken.at))
            .map(|m| (m.waited(), m.taken.trace));
        typical_of(waits.collect(), most)
    }

    fn limit(&mut self) {
        while self.sent.len() + self.taken.len() > KEPT {
            self.part = self.part.halved();
            self.keep_the_part();
        }
    }

    fn keep_the_part(&mut self) {
        let part = self.part;
        self.sent.retain(|span, _| part.holds(hash(u128::from(*span))));
        self.taken.retain(|taken| part.holds(hash(u128::from(taken.producer))));
    }
}

impl Fold for Messages {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut columns = Columns::of(batch)?;
        for row in 0..batch.num_rows() {
            let operation = columns.called.number(row, &mut self.operations);
            if self.operations.kind(operation) == SpanKind::Consumer {
                let part = self.part;
                let kept: Vec<u64> =
                    columns.producers(row).filter(|span| part.holds(hash(u128::from(*span)))).collect();
                for producer in kept {
                    let topic = columns.topic.number(row, &mut self.operations.names);
                    let (trace, at) = (trace_id(columns.trace, row), int(columns.start, row));
                    self.taken.push(Taken { producer, operation, topic, trace, at });
                }
            } else {
                let span = id(columns.span, row);
                if self.part.holds(hash(u128::from(span))) {
                    let topic = columns.topic.number(row, &mut self.operations.names);
                    self.sent.insert(span, Sent { operation, topic, at: int(columns.end, row) });
                }
            }
        }
        self.limit();
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (names, operations) = self.operations.take_in(&other.operations);
        let here = |operation: u32, topic: u32| (operations[operation as usize], names[topic as usize]);
        self.part = self.part.and(other.part);
        self.sent.extend(other.sent.into_iter().map(|(span, sent)| {
            let (operation, topic) = here(sent.operation, sent.topic);
            (span, Sent { operation, topic, ..sent })
        }));
        self.taken.extend(other.taken.into_iter().map(|taken| {
            let (operation, topic) = here(taken.operation, taken.topic);
            Taken { operation, topic, ..taken }
        }));
        self.keep_the_part();
        self.limit();
    }

    fn size(&self) -> usize {
        let sent = self.sent.capacity() * (size_of::<(u64, Sent)>() + 1);
        self.operations.size() + sent + self.taken.capacity() * size_of::<Taken>()
    }
}

/// The columns of one batch.
struct Columns<'a> {
    called: Called<'a>,
    topic: TextColumn<'a>,
    trace: &'a FixedSizeBinaryArray,
    span: &'a FixedSizeBinaryArray,
    parent: &'a FixedSizeBinaryArray,
    start: &'a Int64Array,
    end: &'a Int64Array,
    offsets: &'a [i32],
    /// The span ids of all links, as hex.
    linked: &'a StringViewArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let wrong = || Error::internal("links is not a list of structs with span_id");
        let links = array(batch, column::LINKS)?.as_list_opt::<i32>().ok_or_else(wrong)?;
        let items = links.values().as_struct_opt().ok_or_else(wrong)?;
        let linked = items.column_by_name(column::SPAN_ID).and_then(|ids| ids.as_string_view_opt());
        Ok(Columns {
            called: Called::of(batch)?,
            topic: TextColumn::of(batch, "messaging_destination_name")?,
            trace: ids(batch, "trace_id_bytes")?,
            span: ids(batch, "span_id_bytes")?,
            parent: ids(batch, "parent_span_id_bytes")?,
            start: ints(batch, column::START)?,
            end: ints(batch, column::END)?,
            offsets: links.value_offsets(),
            linked: linked.ok_or_else(wrong)?,
        })
    }

    /// The spans that may have sent what this one took: those it links to, else its parent.
    fn producers(&self, row: usize) -> impl Iterator<Item = u64> {
        let links = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let parent = Some(id(self.parent, row)).filter(|parent| links.is_empty() && *parent != 0);
        let linked = links.filter(|&at| self.linked.is_valid(at));
        linked.filter_map(|at| u64::from_str_radix(self.linked.value(at), 16).ok()).chain(parent)
    }
}
