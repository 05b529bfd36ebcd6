//! What the services of a generated plan are and what their operations do themselves: CPU work, statements, caches,
//! third parties, INTERNAL spans.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::names::{self, Verb, kept};
use crate::shop::plan::{Cache, Key, Language, Millis, Query, Step, Store, ThirdParty};

/// What a service is, before it has operations.
pub struct Trade {
    pub name: &'static str,
    pub noun: &'static str,
    pub language: Language,
    /// What its operations do, in the order in which they are handed out.
    pub verbs: Vec<Verb>,
    grpc: bool,
    database: Option<&'static str>,
    /// For the first operation that reads.
    cache: Option<&'static str>,
    index: Option<&'static str>,
    /// Host and operation of its third party.
    provider: Option<(&'static str, &'static str)>,
}

impl Trade {
    pub fn draw(noun: &'static str, is_consumer: bool, chance: &mut StdRng) -> Self {
        const LANGUAGES: [Language; 5] =
            [Language::Java, Language::Java, Language::Go, Language::Node, Language::Python];
        let mut verbs = Verb::ALL.to_vec();
        verbs.shuffle(chance);
        let kind = chance.random_range(0..10);
        let has_database = kind < 7 || is_consumer;
        let named = |suffix: &str| kept(format!("{noun}{suffix}"));
        let outside = chance.random_bool(if is_consumer { 0.5 } else { 0.2 });
        let (provider, offer) = names::PROVIDERS.choose(chance).copied().unwrap_or_default();
        Trade {
            name: named(["", "", "-service", "-api"].choose(chance).copied().unwrap_or_default()),
            noun,
            language: LANGUAGES.choose(chance).copied().unwrap_or(Language::Java),
            verbs,
            grpc: chance.random_bool(0.4),
            database: has_database.then(|| named("-db")),
            cache: (has_database && chance.random_bool(0.7)).then(|| named("-cache")),
            index: (!has_database && kind == 7).then(|| named("-index")),
            provider: outside.then(|| (kept(format!("{noun}.{provider}.example")), offer)),
        }
    }

    pub fn operation(&self, verb: Verb) -> &'static str {
        if self.grpc { names::grpc(self.noun, verb) } else { names::http("", self.noun, verb) }
    }

    pub fn stores(&self, chance: &mut StdRng) -> Vec<Store> {
        let of = |name, system, port, pooled| Store { name, system, namespace: self.noun, port, cores: 8, pooled };
        let mysql = chance.random_bool(0.3);
        let (system, port) = if mysql { ("mysql", 3306) } else { ("postgresql", 5432) };
        let database = self.database.map(|name| of(name, system, port, true));
        let index = self.index.map(|name| of(name, "opensearch", 9200, false));
        let cache = self.cache.map(|name| Store { namespace: "0", cores: 4, ..of(name, "redis", 6379, false) });
        [database, index, cache].into_iter().flatten().collect()
    }

    /// The steps of an operation around the calls that it makes. `first`: whether it is the service's first one.
    pub fn steps(&self, verb: Verb, first: bool, below: Vec<Step>, richness: f64, chance: &mut StdRng) -> Vec<Step> {
        let mut steps = vec![compute(chance, 0.3..1.0)];
        let asks_outside = self.provider.is_some() && first;
        if !verb.writes() || chance.random_bool(richness * 0.5) {
            steps.extend(self.reads(verb, richness, chance));
        }
        let does_nothing_else = self.database.is_none() && self.index.is_none() && !asks_outside;
        if does_nothing_else || chance.random_bool(0.1 + 0.4 * richness) {
            let does = ["rank", "render", "validate", "enrich", "merge"].choose(chance).copied().unwrap_or("render");
            let name = kept(format!("{does} {}s", self.noun));
            steps.push(Step::Span { name, steps: vec![compute(chance, 1.5..5.0)] });
        }
        steps.extend(below);
        if let Some((host, operation)) = self.provider.filter(|_| asks_outside) {
            let time = chance.random_range(15.0..50.0);
            steps.push(Step::ThirdParty(ThirdParty { host, operation, time, limit: 256 }));
        }
        if verb.writes() {
            steps.extend(self.writes(verb, richness, chance));
        }
        steps.push(compute(chance, 0.3..1.4));
        steps
    }

    fn reads(&self, verb: Verb, richness: f64, chance: &mut StdRng) -> Vec<Step> {
        if let Some(index) = self.index {
            let noun = self.noun;
            let text = kept(format!("{{\"query\":{{\"match\":{{\"{noun}\":?}}}},\"size\":?}}"));
            let summary = kept(format!("search {noun}s"));
            return vec![query(index, (summary, text), chance.random_range(4.0..9.0))];
        }
        let Some(database) = self.database else { return Vec::new() };
        if let Some(store) = self.cache.filter(|_| self.verbs.iter().find(|verb| !verb.writes()) == Some(&verb)) {
            let table = format!("{}_settings", self.noun);
            let miss = vec![query(database, names::select(&table, "id"), chance.random_range(2.0..5.0))];
            let key = if chance.random_bool(0.5) { Key::User } else { Key::Product };
            let cache = Cache { store, command: "GET", key, entries: usize::MAX, expired: 0.04, miss };
            return vec![Step::Cache(cache)];
        }
        let table = format!("{}s", self.noun);
        let mut reads = vec![query(database, names::select(&table, "id"), chance.random_range(1.5..6.0))];
        if chance.random_bool(0.2 + 0.5 * richness) {
            let table = format!("{}_history", self.noun);
            let key = kept(format!("{}_id", self.noun));
            reads.push(query(database, names::select(&table, key), chance.random_range(1.5..6.0)));
        }
        if reads.len() > 1 && chance.random_bool(0.4) {
            reads.push(compute(chance, 0.3..1.0));
            reads = vec![Step::Transaction { store: database, steps: reads }];
        }
        reads
    }

    fn writes(&self, verb: Verb, richness: f64, chance: &mut StdRng) -> Vec<Step> {
        let Some(database) = self.database else { return Vec::new() };
        let table = format!("{}s", self.noun);
        let statement = if verb == Verb::Create { names::insert(&table) } else { names::update(&table) };
        let mut writes = vec![query(database, statement, chance.random_range(2.0..6.0))];
        if chance.random_bool(0.2 + 0.5 * richness) {
            let table = format!("{}_history", self.noun);
            writes.push(query(database, names::insert(&table), chance.random_range(1.5..4.0)));
            writes = vec![Step::Transaction { store: database, steps: writes }];
        }
        writes
    }
}

fn compute(chance: &mut StdRng, range: std::ops::Range<Millis>) -> Step {
    Step::Compute(chance.random_range(range))
}

fn query(store: &'static str, (summary, text): (&'static str, &'static str), time: Millis) -> Step {
    Step::Query(Query { store, summary, text, time, exclusive: None })
}
