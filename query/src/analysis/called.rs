//! Which operation a span is: its service, name, kind and peer, read from text columns as one small number.
//!
//! The peer is what a CLIENT or PRODUCER span talks to: the first of [`PEERS`] that it names, else the first of
//! [`SYSTEMS`]. SQL and our own reading of batches share those lists.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use model::Result;
use model::trace::SpanKind;

use super::names::{NONE, Names, TextColumn};
use super::ranking::{Operation, Peer, PeerKind};

/// Columns that name a peer, the best first.
const PEERS: [&str; 6] = [
    "peer_service",
    "server_address",
    "messaging_destination_name",
    "db_namespace",
    "rpc_service",
    "network_peer_address",
];

/// Columns that name the kind of system: the two names of a database's, then that of messages.
const SYSTEMS: [&str; 3] = ["db_system_name", "db_system", "messaging_system"];

/// The kind of database that a client span talks to, as SQL.
pub const DB_SYSTEM: &str = "coalesce(db_system_name, db_system)";

/// The peer as SQL.
pub fn peer() -> String {
    format!("CASE WHEN kind IN ('CLIENT', 'PRODUCER') THEN coalesce({}, {}) END", PEERS.join(", "), SYSTEMS.join(", "))
}

/// The columns that [`Called`] reads.
pub fn names() -> impl Iterator<Item = &'static str> {
    ["service_name", "name", "kind"].into_iter().chain(SYSTEMS).chain(PEERS)
}

/// The same as SQL.
pub fn columns() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// An operation by the numbers of its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    service: u32,
    name: u32,
    kind: u32,
    db: u32,
    messaging: u32,
    peer: u32,
    /// Of a narrower operation ([`Operations::narrowed`]): what was said, and to which server.
    statement: u32,
    server: u32,
}

impl Key {
    fn of_parts([service, name, kind, db, messaging, peer]: [u32; 6]) -> Self {
        Key { service, name, kind, db, messaging, peer, statement: NONE, server: NONE }
    }

    fn parts(&self) -> [u32; 6] {
        [self.service, self.name, self.kind, self.db, self.messaging, self.peer]
    }
}

/// Operations and their numbers.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    pub names: Names,
    numbers: HashMap<Key, u32, foldhash::fast::RandomState>,
    keys: Vec<Key>,
    /// For each key the number of that without its server, and of the whole operation.
    wider: Vec<[u32; 2]>,
}

impl Operations {
    fn of_key(&mut self, key: Key) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let [alike, whole] = [key.statement, NONE].map(|statement| Key { statement, server: NONE, ..key });
        let [alike, whole] = [alike, whole].map(|wider| (wider != key).then(|| self.of_key(wider)));
        let next = self.keys.len() as u32;
        self.numbers.insert(key, next);
        self.keys.push(key);
        self.wider.push([alike, whole].map(|wider| wider.unwrap_or(next)));
        next
    }

    /// The number of an operation narrowed to one statement and one server; [`NONE`] where nothing is known of either.
    /// Both are numbers of [`Operations::names`].
    pub fn narrowed(&mut self, number: u32, statement: u32, server: u32) -> u32 {
        if (statement, server) == (NONE, NONE) {
            return number;
        }
        self.of_key(Key { statement, server, ..self.keys[number as usize] })
    }

    /// The number of an operation narrowed to its statement only: equal for calls that say the same.
    pub fn alike(&self, number: u32) -> u32 {
        self.wider[number as usize][0]
    }

    /// The number of the operation that this is a narrower one of; itself where it is not narrowed.
    pub fn whole(&self, number: u32) -> u32 {
        self.wider[number as usize][1]
    }

    /// The statement that an operation is narrowed to.
    pub fn statement(&self, number: u32) -> Option<&str> {
        self.names.some_text(self.keys[number as usize].statement)
    }

    /// The server that an operation is narrowed to; [`NONE`] where it is not.
    pub fn server(&self, number: u32) -> u32 {
        self.keys[number as usize].server
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn operation(&self, number: u32) -> Operation {
        let key = self.keys[number as usize];
        let text = |number: u32| self.names.text(number).to_owned();
        let kind = self.peer_kind(number);
        Operation {
            service: text(key.service),
            operation: text(key.name),
            kind: SpanKind::parse(self.names.text(key.kind)),
            peer: self.names.some_text(key.peer).map(|name| Peer { name: name.to_owned(), kind }),
        }
    }

    /// What an operation that calls somebody calls.
    pub fn peer_kind(&self, number: u32) -> PeerKind {
        let key = self.keys[number as usize];
        PeerKind::of(self.names.some_text(key.db), self.names.some_text(key.messaging))
    }

    /// The number of an operation, if it was seen.
    pub fn find(&self, operation: &Operation) -> Option<u32> {
        (0..self.keys.len() as u32).find(|number| self.operation(*number) == *operation)
    }

    pub fn kind(&self, number: u32) -> SpanKind {
        SpanKind::parse(self.names.text(self.keys[number as usize].kind))
    }

    /// The numbers of an operation's service, name and peer.
    pub fn names_of(&self, number: u32) -> (u32, u32, Option<u32>) {
        let key = self.keys[number as usize];
        (key.service, key.name, Some(key.peer).filter(|peer| self.names.some_text(*peer).is_some()))
    }

    /// Service, name, kind and peer; empty for none.
    pub fn texts(&self, number: u32) -> [&str; 4] {
        let Key { service, name, kind, peer, .. } = self.keys[number as usize];
        [service, name, kind, peer].map(|number| self.names.text(number))
    }

    /// Names from 1 on, and for each operation the numbers of its service, name, kind, database system, messaging system
    /// and peer. There must be no narrower ones.
    pub fn parts(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = [u32; 6]>) {
        (self.names.iter(), self.keys.iter().map(Key::parts))
    }

    /// Of [`Operations::parts`]; `None` when a number points nowhere, or one of either is there twice.
    pub fn of_parts(names: &[String], keys: &[[u32; 6]]) -> Option<Self> {
        let mut operations = Operations::default();
        let fresh = (1..).zip(names).all(|(number, text)| operations.names.number(text) == number);
        let known = |number: &u32| *number as usize <= names.len();
        let fresh = fresh
            && keys.iter().flatten().all(known)
            && (0..).zip(keys).all(|(number, key)| operations.of_key(Key::of_parts(*key)) == number);
        fresh.then_some(operations)
    }

    /// Services that answer calls.
    pub fn serving(&self) -> impl Iterator<Item = &str> {
        let serving =
            (0..self.keys.len()).filter(|n| matches!(self.kind(*n as u32), SpanKind::Server | SpanKind::Consumer));
        serving.map(|n| self.names.text(self.keys[n].service))
    }

    /// Takes in what another part numbered: for each of its names and of its operations the number here.
    pub fn take_in(&mut self, other: &Operations) -> (Vec<u32>, Vec<u32>) {
        let names = self.names.take_in(&other.names);
        let here = |number: u32| names[number as usize];
        let keys = other.keys.iter().map(|key| {
            let whole = Key::of_parts(key.parts().map(here));
            self.of_key(Key { statement: here(key.statement), server: here(key.server), ..whole })
        });
        let keys = keys.collect();
        (names, keys)
    }

    /// Whether there is one of the kind.
    pub fn has(&self, kind: SpanKind) -> bool {
        (0..self.len()).any(|number| self.kind(number as u32) == kind)
    }

    /// Bytes held, about.
    pub fn size(&self) -> usize {
        self.names.size() + self.keys.len() * (2 * size_of::<Key>() + 24)
    }
}

/// The columns of one batch.
pub struct Called<'a> {
    service: TextColumn<'a>,
    name: TextColumn<'a>,
    kind: TextColumn<'a>,
    /// Those of [`SYSTEMS`].
    systems: [TextColumn<'a>; 3],
    peers: Vec<TextColumn<'a>>,
    /// Which run of rows of the same texts each row is in: within a file an operation's rows stand together.
    runs: Vec<u32>,
    /// The numbers of the runs that were asked for.
    numbers: Vec<Option<u32>>,
}

impl<'a> Called<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        let column = |name| TextColumn::of(batch, name);
        let peers = PEERS.into_iter().map(column).collect::<Result<Vec<_>>>()?;
        let [database, older_name, messages] = SYSTEMS;
        let mut called = Called {
            service: column("service_name")?,
            name: column("name")?,
            kind: column("kind")?,
            systems: [column(database)?, column(older_name)?, column(messages)?],
            peers: peers.into_iter().filter(|column| !column.is_all_null()).collect(),
            runs: Vec::new(),
            numbers: Vec::new(),
        };
        called.find_runs(batch.num_rows());
        Ok(called)
    }

    fn find_runs(&mut self, rows: usize) {
        let mut begins = vec![false; rows];
        let columns = [&self.service, &self.name, &self.kind].into_iter().chain(&self.systems).chain(&self.peers);
        columns.for_each(|column| column.mark_changes(&mut begins));
        let mut run = 0;
        self.runs.extend(begins.iter().map(|begins| {
            run += u32::from(*begins);
            run
        }));
        self.numbers = vec![None; run as usize + 1];
    }

    /// The number of the operation of a row. All calls are to be with the same `operations`.
    pub fn number(&mut self, row: usize, operations: &mut Operations) -> u32 {
        let run = self.runs[row] as usize;
        match self.numbers[run] {
            Some(number) => number,
            None => {
                let key = self.key(row, &mut operations.names);
                *self.numbers[run].insert(operations.of_key(key))
            }
        }
    }

    fn key(&mut self, row: usize, names: &mut Names) -> Key {
        let kind = self.kind.text(row).unwrap_or_default();
        let calls = matches!(kind, "CLIENT" | "PRODUCER");
        let first = |columns: &mut [TextColumn<'a>], names: &mut Names| {
            columns.iter_mut().map(|column| column.number(row, names)).find(|number| *number != NONE).unwrap_or(NONE)
        };
        let [service, name, kind] = [&mut self.service, &mut self.name, &mut self.kind].map(|c| c.number(row, names));
        let (databases, messaging) = self.systems.split_at_mut(2);
        let (db, messaging) = (first(databases, names), first(messaging, names));
        let peer = if calls {
            let peers = [first(&mut self.peers, names), db, messaging];
            peers.into_iter().find(|number| *number != NONE).unwrap_or(NONE)
        } else {
            NONE
        };
        Key::of_parts([service, name, kind, db, messaging, peer])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations() -> Operations {
        let names = ["shop", "SELECT item", "CLIENT", "db", "select a", "select b", "db-1", "db-2"].map(str::to_owned);
        Operations::of_parts(&names, &[[1, 2, 3, 4, 0, 4]]).expect("numbers that point somewhere")
    }

    #[test]
    fn narrower_operations_know_the_wider_ones_and_what_they_are_narrowed_to() {
        let mut all = operations();
        let [a, b] = [(5, 7), (5, 8)].map(|(statement, server)| all.narrowed(0, statement, server));
        let c = all.narrowed(0, 6, NONE);
        assert_eq!(all.narrowed(0, NONE, NONE), 0);
        assert!(a != b && all.alike(a) == all.alike(b) && all.alike(a) != all.alike(c));
        assert_eq!([a, b, c, 0].map(|number| all.whole(number)), [0; 4]);
        assert_eq!((all.alike(c), all.alike(0)), (c, 0));
        assert_eq!([a, c, 0].map(|number| all.statement(number)), [Some("select a"), Some("select b"), None]);
        assert_eq!((all.names.text(all.server(a)), all.server(c)), ("db-1", NONE));
        assert_eq!(all.operation(a), all.operation(0));
    }

    #[test]
    fn narrower_operations_keep_what_they_are_where_another_part_takes_them_in() {
        let (mut here, mut there) = (Operations::default(), operations());
        here.names.number("something else");
        let narrow = there.narrowed(0, 6, 8);
        let (_, numbers) = here.take_in(&there);
        let taken = numbers[narrow as usize];
        assert_eq!((here.statement(taken), here.names.text(here.server(taken))), (Some("select b"), "db-2"));
        assert_eq!(here.whole(taken), numbers[0]);
    }
}
