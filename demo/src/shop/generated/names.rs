//! The words of generated plans: what services, operations, topics, tables and third parties are called.
//!
//! A plan's names live for ever, as those of the storefront do. Generated ones are made of the fixed words here, and
//! each is kept once: the memory that this takes is bounded by the combinations, however many plans are made.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What services are about; each plan shuffles them. All form their plural with an `s`.
pub const NOUNS: [&str; 80] = [
    "account",
    "agent",
    "alert",
    "archive",
    "asset",
    "audit",
    "badge",
    "banner",
    "bill",
    "booking",
    "budget",
    "calendar",
    "campaign",
    "card",
    "carrier",
    "channel",
    "claim",
    "comment",
    "contact",
    "contract",
    "coupon",
    "customer",
    "dealer",
    "deposit",
    "device",
    "document",
    "driver",
    "event",
    "export",
    "feed",
    "file",
    "folder",
    "forecast",
    "form",
    "game",
    "grant",
    "group",
    "guest",
    "image",
    "invoice",
    "job",
    "label",
    "ledger",
    "lesson",
    "limit",
    "loan",
    "member",
    "message",
    "meter",
    "parcel",
    "partner",
    "passenger",
    "payout",
    "permission",
    "plan",
    "playlist",
    "profile",
    "project",
    "quote",
    "rating",
    "receipt",
    "refund",
    "report",
    "reward",
    "route",
    "schedule",
    "score",
    "seat",
    "segment",
    "sensor",
    "session",
    "shipment",
    "site",
    "station",
    "stream",
    "subscriber",
    "survey",
    "tariff",
    "voucher",
    "wallet",
];

/// Third parties and the operation that they offer.
pub const PROVIDERS: [(&str, &str); 8] = [
    ("pay", "POST /v2/charges"),
    ("maps", "GET /v1/geocode"),
    ("mail", "POST /v3/send"),
    ("identity", "POST /v1/verify"),
    ("rates", "GET /v1/rates"),
    ("push", "POST /v1/notifications"),
    ("weather", "GET /v2/forecasts"),
    ("scan", "POST /v1/scans"),
];

/// What happens to things that others want to know of.
pub const EVENTS: [&str; 5] = ["created", "changed", "closed", "approved", "expired"];

/// What an operation does with its thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Read,
    List,
    Create,
    Change,
}

impl Verb {
    pub const ALL: [Verb; 4] = [Verb::Read, Verb::List, Verb::Create, Verb::Change];

    pub fn writes(self) -> bool {
        matches!(self, Verb::Create | Verb::Change)
    }
}

/// The one copy of a text that is kept for ever.
pub fn kept(text: String) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    // A panic elsewhere leaves the set whole.
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = all.get(text.as_str()) {
        return found;
    }
    let text: &'static str = Box::leak(text.into_boxed_str());
    all.insert(text);
    text
}

/// `GET /quotes/{id}`, below a prefix as gateways have one.
pub fn http(prefix: &str, noun: &str, verb: Verb) -> &'static str {
    kept(match verb {
        Verb::Read => format!("GET {prefix}/{noun}s/{{id}}"),
        Verb::List => format!("GET {prefix}/{noun}s"),
        Verb::Create => format!("POST {prefix}/{noun}s"),
        Verb::Change => format!("PUT {prefix}/{noun}s/{{id}}"),
    })
}

/// `quote.Quote/Get`.
pub fn grpc(noun: &str, verb: Verb) -> &'static str {
    let method = match verb {
        Verb::Read => "Get",
        Verb::List => "List",
        Verb::Create => "Create",
        Verb::Change => "Update",
    };
    kept(format!("{noun}.{}/{method}", capital(noun)))
}

fn capital(noun: &str) -> String {
    let (first, rest) = noun.split_at(1);
    first.to_uppercase() + rest
}

/// Summary and text of a statement that reads rows by a key.
pub fn select(table: &str, key: &str) -> (&'static str, &'static str) {
    let text = format!("SELECT state, data, updated_at FROM {table} WHERE {key} = $1");
    (kept(format!("SELECT {table}")), kept(text))
}

/// Summary and text of a statement that adds a row.
pub fn insert(table: &str) -> (&'static str, &'static str) {
    let text = format!("INSERT INTO {table} (id, owner_id, state, data) VALUES ($1, $2, $3, $4)");
    (kept(format!("INSERT {table}")), kept(text))
}

/// Summary and text of a statement that changes a row.
pub fn update(table: &str) -> (&'static str, &'static str) {
    let text = format!("UPDATE {table} SET state = $1, data = $2, updated_at = now() WHERE id = $3");
    (kept(format!("UPDATE {table}")), kept(text))
}
