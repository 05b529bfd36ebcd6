//! Measures an honest client beside attackers: the p99 of its exports with each attack, against without.
//!
//! ```text
//!   cargo run -p hotspan-collector --example attack -- [SECONDS]
//! ```
//! The server runs in a process of its own (this program with the word `serve`): the real listener, routers and
//! decoder over a store that takes everything at once. Honest exports leave at a fixed rate, and each is timed from
//! when it was due, so that waiting behind an attack counts. The attackers take what they can of the same machine.

mod attackers;
mod honest;
mod server;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use attackers::ATTACKS;

fn main() {
    let word = std::env::args().nth(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if word.as_deref() == Some("serve") {
        return runtime.block_on(server::serve());
    }
    let seconds = word.map_or(10, |word| word.parse().expect("a number of seconds"));
    runtime.block_on(measure(Duration::from_secs(seconds)));
}

/// The server's process; it ends with us.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server tells its address");
        Server { child, address: line.trim().parse().expect("an address") }
    }

    /// Most memory it ever had in RAM, in MiB.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() / 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure(time: Duration) {
    println!("| attack | honest exports | failed | p50 ms | p99 ms | p99 against none | server's peak MiB |");
    println!("|---|---|---|---|---|---|---|");
    let mut alone = None;
    for attack in ATTACKS {
        // A new server each time, so that its peak is of this attack.
        let server = Server::start();
        let attackers = (attack.start)(server.address);
        // What an attack needs to be under way.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let measured = honest::exports(server.address, time).await;
        attackers.iter().for_each(tokio::task::JoinHandle::abort);
        let (p50, p99) = (measured.quantile(0.5), measured.quantile(0.99));
        let ratio = p99 / *alone.get_or_insert(p99);
        let (sent, failed, peak) = (measured.sent, measured.failed, server.peak());
        println!("| {} | {sent} | {failed} | {p50:.2} | {p99:.2} | {ratio:.2} | {peak} |", attack.name);
    }
}
