//! The shop at run time: instances with their stations and heaps, stores, caches, topics, and the spans recorded.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use futures::future::join_all;
use opentelemetry::trace::{SpanId, TraceId};

use super::kernel::{Instant, Kernel, MILLISECOND, Mailbox};
use super::plan::{Heap, Lock, Plan, Scope, Service};
use super::request::{Customer, Ids, mix};
use super::span::{Process, SimSpan};
use super::station::Station;

/// How long a thread keeps its core while others wait for one.
const SLICE: u64 = 5 * MILLISECOND;

pub struct World {
    pub kernel: Kernel,
    pub plan: Plan,
    pub seed: u64,
    pub ids: Ids,
    pub instances: BTreeMap<&'static str, Vec<Rc<Instance>>>,
    pub finished: RefCell<Vec<SimSpan>>,
    stations: Stations,
    caches: RefCell<BTreeMap<&'static str, Lru>>,
    topics: RefCell<BTreeMap<&'static str, Rc<Mailbox<Message>>>>,
    numbers: Cell<u64>,
}

/// A message on a topic, with the context of the PRODUCER span.
pub struct Message {
    pub customer: Customer,
    pub producer: (TraceId, SpanId),
}

/// One running process of a service.
pub struct Instance {
    pub process: Arc<Process>,
    pub workers: Rc<Station>,
    pub cpu: Rc<Station>,
    pub backlog: usize,
    pub connections: usize,
    /// What its CPU time is multiplied by.
    pub slowdown: f64,
    pub memory: Memory,
    stations: Stations,
    buckets: RefCell<BTreeMap<&'static str, Bucket>>,
}

/// A token bucket: what a rate limiter still lets through, as of a moment.
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// Stations made when first used, by the kind of thing and its name.
#[derive(Default)]
struct Stations(RefCell<BTreeMap<(&'static str, &'static str), Rc<Station>>>);

impl Stations {
    fn get(&self, kernel: &Kernel, kind: &'static str, name: &'static str, permits: usize) -> Rc<Station> {
        let mut all = self.0.borrow_mut();
        all.entry((kind, name)).or_insert_with(|| Station::new(kernel, permits)).clone()
    }
}

impl World {
    pub fn new(plan: Plan, seed: u64, ids: Ids) -> Rc<Self> {
        let kernel = Kernel::default();
        let instances = plan.services.iter().map(|service| (service.name, start(&kernel, service, seed))).collect();
        Rc::new(World {
            kernel,
            plan,
            seed,
            ids,
            instances,
            finished: RefCell::default(),
            stations: Stations::default(),
            caches: RefCell::default(),
            topics: RefCell::default(),
            numbers: Cell::new(0),
        })
    }

    /// The next number of a request, consumer traces included.
    pub fn next_number(&self) -> u64 {
        let number = self.numbers.get();
        self.numbers.set(number + 1);
        number
    }

    /// A station that the whole shop shares.
    pub fn station(&self, kind: &'static str, name: &'static str, permits: usize) -> Rc<Station> {
        self.stations.get(&self.kernel, kind, name, permits)
    }

    /// The station behind a lock, as an instance sees it.
    pub fn lock(&self, instance: &Instance, lock: &Lock) -> Rc<Station> {
        match lock.scope {
            Scope::Instance => instance.station(&self.kernel, "lock", lock.name, lock.permits),
            Scope::Shop => self.station("lock", lock.name, lock.permits),
        }
    }

    pub fn topic(&self, name: &'static str) -> Rc<Mailbox<Message>> {
        self.topics.borrow_mut().entry(name).or_insert_with(|| Mailbox::new(&self.kernel)).clone()
    }

    /// Looks a key up in a cache of so many entries and leaves it there; true when it was there.
    pub fn look_up(&self, cache: &'static str, entries: usize, key: u64) -> bool {
        if entries == usize::MAX {
            return true;
        }
        self.caches.borrow_mut().entry(cache).or_insert_with(|| Lru::filled(entries)).touch(key)
    }
}

fn start(kernel: &Kernel, service: &Service, seed: u64) -> Vec<Rc<Instance>> {
    (0..service.instances).map(|index| Rc::new(Instance::new(kernel, service, index, seed))).collect()
}

impl Instance {
    fn new(kernel: &Kernel, service: &Service, index: usize, seed: u64) -> Self {
        let slowdown = match service.throttled {
            Some((throttled, slowdown)) if throttled == index => slowdown,
            _ => 1.0,
        };
        Instance {
            process: Arc::new(process(service, index, seed)),
            workers: Station::new(kernel, service.workers),
            cpu: Station::new(kernel, service.cores),
            backlog: service.backlog,
            connections: service.connections,
            slowdown,
            memory: Memory::new(service.heap),
            stations: Stations::default(),
            buckets: RefCell::default(),
        }
    }

    /// Whether a rate limiter of this instance lets one more through. It saves up at most a burst of five.
    pub fn admit(&self, now: Instant, limiter: &'static str, per_second: f64) -> bool {
        const BURST: f64 = 5.0;
        let mut buckets = self.buckets.borrow_mut();
        let bucket = buckets.entry(limiter).or_insert(Bucket { tokens: BURST, filled: now });
        let passed = (now - std::mem::replace(&mut bucket.filled, now)) as f64 / 1e9;
        bucket.tokens = (bucket.tokens + passed * per_second).min(BURST);
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }

    /// A station of this instance.
    pub fn station(&self, kernel: &Kernel, kind: &'static str, name: &'static str, permits: usize) -> Rc<Station> {
        self.stations.get(kernel, kind, name, permits)
    }

    /// The pool of connections to a store.
    pub fn pool(&self, kernel: &Kernel, store: &'static str) -> Rc<Station> {
        self.station(kernel, "pool", store, self.connections)
    }

    /// All pools in use so far, by store.
    pub fn pools(&self) -> Vec<(&'static str, Rc<Station>)> {
        let all = self.stations.0.borrow();
        all.iter().filter(|((kind, _), _)| *kind == "pool").map(|((_, name), pool)| (*name, pool.clone())).collect()
    }

    /// So many nanoseconds of CPU work, in turns with everybody else on the instance.
    pub async fn compute(&self, kernel: &Kernel, work: u64) {
        let mut left = (work as f64 * self.slowdown) as u64;
        while left > 0 {
            let slice = left.min(SLICE);
            let _core = self.cpu.acquire().await;
            kernel.sleep(slice).await;
            left -= slice;
        }
    }

    /// Accounts for the memory of one request; may stop the instance for a collection.
    pub fn allocate(self: &Rc<Self>, kernel: &Kernel) {
        let Some(pause) = self.memory.allocate(kernel.now()) else { return };
        let (instance, kernel) = (self.clone(), kernel.clone());
        kernel.clone().spawn(async move {
            let _all_cores = join_all((0..instance.cpu.permits()).map(|_| instance.cpu.acquire())).await;
            kernel.sleep(pause).await;
            instance.memory.collected(pause);
        });
    }
}

/// The heap of one instance.
pub struct Memory {
    heap: Heap,
    allocated_mib: Cell<f64>,
    /// Customers seen lately, decaying exponentially, as of `seen`.
    customers: Cell<f64>,
    seen: Cell<Instant>,
    collecting: Cell<bool>,
    /// Pauses, in nanoseconds, since somebody last asked.
    pauses: RefCell<Vec<u64>>,
}

impl Memory {
    fn new(heap: Heap) -> Self {
        Memory {
            heap,
            allocated_mib: Cell::new(0.0),
            customers: Cell::new(0.0),
            seen: Cell::new(0),
            collecting: Cell::new(false),
            pauses: RefCell::default(),
        }
    }

    /// Bytes in use, garbage included.
    pub fn used_bytes(&self) -> u64 {
        ((self.live_mib() + self.allocated_mib.get()).min(self.heap.size_mib) * 1_048_576.0) as u64
    }

    pub fn size_bytes(&self) -> u64 {
        (self.heap.size_mib * 1_048_576.0) as u64
    }

    fn live_mib(&self) -> f64 {
        (self.heap.live_mib + self.customers.get() * self.heap.live_per_customer_mib).min(self.heap.size_mib)
    }

    /// The pause of the collection that this request sets off, if any, in nanoseconds.
    fn allocate(&self, now: Instant) -> Option<u64> {
        let passed = (now - self.seen.replace(now)) as f64 / 1e9;
        self.customers.set(self.customers.get() * (-passed / Heap::MEMORY_S).exp() + 1.0);
        self.allocated_mib.set(self.allocated_mib.get() + self.heap.per_request_mib);
        let room = (self.heap.size_mib - self.live_mib()).max(self.heap.per_request_mib);
        if self.allocated_mib.get() < room || self.collecting.replace(true) {
            return None;
        }
        Some((self.live_mib() * self.heap.pause_per_live_mib * 1e6) as u64)
    }

    /// The pauses since the last call, in nanoseconds.
    pub fn take_pauses(&self) -> Vec<u64> {
        std::mem::take(&mut self.pauses.borrow_mut())
    }

    fn collected(&self, pause: u64) {
        self.pauses.borrow_mut().push(pause);
        self.allocated_mib.set(0.0);
        self.collecting.set(false);
    }
}

/// The identity of an instance of a service in a run; `seed` as the world has it.
pub fn process(service: &Service, index: usize, seed: u64) -> Process {
    let name = service.name.bytes().fold(seed, |sum, byte| mix(sum ^ u64::from(byte)));
    let id = mix(name ^ index as u64);
    let node = mix(id) % 8;
    Process {
        service: service.name,
        version: service.version,
        language: service.language,
        instance: format!(
            "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
            id >> 32,
            (id >> 16) & 0xffff,
            id & 0xfff,
            mix(id ^ 1) & 0xfff,
            mix(id ^ 2) & 0xffff_ffff_ffff
        ),
        pod: format!("{}-{:08x}-{:05x}", service.name, name & 0xffff_ffff, mix(id ^ 3) & 0xf_ffff),
        node: format!("node-{:02}", node + 1),
        address: format!("10.42.{}.{}", node, 2 + mix(id ^ 4) % 250),
    }
}

/// A cache of so many keys; the one unused longest leaves first.
struct Lru {
    entries: usize,
    uses: u64,
    used: HashMap<u64, u64>,
    oldest: BTreeMap<u64, u64>,
}

impl Lru {
    /// A warm cache: it holds the first keys.
    fn filled(entries: usize) -> Self {
        let mut lru = Lru { entries, uses: 0, used: HashMap::new(), oldest: BTreeMap::new() };
        for key in 0..entries as u64 {
            lru.touch(key);
        }
        lru
    }

    fn touch(&mut self, key: u64) -> bool {
        self.uses += 1;
        let before = self.used.insert(key, self.uses);
        self.oldest.insert(self.uses, key);
        if let Some(before) = before {
            self.oldest.remove(&before);
            return true;
        }
        if self.used.len() > self.entries
            && let Some((_, key)) = self.oldest.pop_first()
        {
            self.used.remove(&key);
        }
        false
    }
}
