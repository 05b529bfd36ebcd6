//! Measures the log on a folder: records/s, MB/s, and the time from append to acknowledgement for 1, 16 and 256
//! clients that each wait for their answer before they send again.
//!
//! ```text
//!   cargo run --release -p hotspan-wal --example throughput -- <folder> [bytes per record] [seconds per step]
//! ```
//! The folder must be on the disk to measure; its log is removed before each step.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hotspan_wal::{Disk, Record, Settings, Stats, Wal};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("usage: throughput <folder> [bytes per record] [seconds per step]")?);
    let bytes = args.next().map_or(Ok(16 << 10), |n| n.parse())?;
    let seconds = args.next().map_or(Ok(5), |n| n.parse())?;
    println!("{bytes} bytes per record, {seconds} s per step, in {}", folder.display());
    println!("clients  records/s     MB/s   p50 ms   p99 ms   max ms  records/sync  sync ms");
    for clients in [1, 16, 256] {
        let dir = folder.join("throughput-wal");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        let (stats, took, waits) = step(&dir, clients, bytes, Duration::from_secs(seconds))?;
        report(clients, bytes, &stats, took, waits);
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Runs closed-loop clients for a while; returns how long each record waited, in order of length.
fn step(
    dir: &Path,
    clients: usize,
    bytes: usize,
    length: Duration,
) -> Result<(Stats, Duration, Vec<Duration>), Box<dyn Error>> {
    let mut replay = |_, _: &[u8]| Ok::<(), Infallible>(());
    let (wal, _) = Wal::open(Arc::new(Disk), dir, Settings::default(), &mut replay)?;
    let over = AtomicBool::new(false);
    let body: Arc<[u8]> = (0..bytes).map(|n| (n * 31) as u8).collect();
    let begin = Instant::now();
    let mut waits = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(|| client(&wal, &body, &over))).collect();
        while begin.elapsed() < length {
            thread::sleep(Duration::from_millis(50));
            // As the store does after a flush, so that the disk does not fill.
            if let Err(error) = wal.trim(wal.stats().last_durable_seq.saturating_sub(10_000)) {
                eprintln!("{error}");
            }
        }
        over.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let took = begin.elapsed();
    waits.sort_unstable();
    let stats = wal.stats();
    wal.close()?;
    Ok((stats, took, waits))
}

fn client(wal: &Wal, body: &Arc<[u8]>, over: &AtomicBool) -> Vec<Duration> {
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        match wal.append_wait(Record::new().part(body.clone())) {
            Ok(_) => waits.push(begin.elapsed()),
            Err(error) => {
                eprintln!("{error}");
                break;
            }
        }
    }
    waits
}

fn report(clients: usize, bytes: usize, stats: &Stats, took: Duration, waits: Vec<Duration>) {
    let rate = waits.len() as f64 / took.as_secs_f64();
    let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or_default();
    let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
    println!(
        "{clients:>7} {rate:>10.0} {:>8.1} {:>8.2} {:>8.2} {:>8.2} {:>13.1} {:>8.2}",
        rate * bytes as f64 / 1e6,
        ms(at(0.5)),
        ms(at(0.99)),
        ms(waits.last().copied().unwrap_or_default()),
        stats.records as f64 / stats.groups.max(1) as f64,
        ms(stats.sync_sum) / stats.syncs.max(1) as f64,
    );
}
