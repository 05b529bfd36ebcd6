//! The last resort against a query that takes more memory than the engine's accounting knows of: the process itself
//! is watched while queries run, and they end before the machine does.

use std::time::{Duration, Instant};

use model::{Error, Kind};

use super::running::Seat;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// A query that is younger is not ended: most are done by then, and it is not what took the memory.
const GRACE: Duration = Duration::from_millis(500);

/// The most the process may take: as set, else three quarters of what the container or the machine has.
pub fn ceiling(set: u64) -> u64 {
    if set > 0 {
        return set;
    }
    machine_memory().map_or(u64::MAX, |bytes| bytes / 4 * 3)
}

/// Bytes of memory of the container, or of the machine when it has less; `None` where the system does not tell.
pub fn machine_memory() -> Option<u64> {
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    [container, machine].into_iter().flatten().min()
}

/// Bytes of memory the process holds; `None` where the system does not tell.
fn resident() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Comes back only when the process is above its ceiling, and the query is the one that has to end for it.
pub async fn exceeded(ceiling: u64, seat: &Seat) -> Error {
    tokio::time::sleep(GRACE).await;
    let mut tick = tokio::time::interval(INTERVAL);
    loop {
        tick.tick().await;
        if let Some(resident) = resident().filter(|r| *r > ceiling && seat.has_to_end(Instant::now())) {
            tracing::warn!(resident, ceiling, "a query is ended: the process takes too much memory");
            return Error::new(
                Kind::Limit,
                "the query was ended because the process came near its memory limit (query.process_bytes)",
            )
            .hint("narrow the time range, group by fewer values, or add a LIMIT");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::running::Running;
    use super::*;

    #[test]
    fn a_setting_wins_and_the_machine_is_known_otherwise() {
        assert_eq!(ceiling(5), 5);
        assert!(ceiling(0) > 64 << 20);
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
    }

    #[tokio::test]
    async fn a_process_above_its_ceiling_is_noticed() {
        let running = std::sync::Arc::new(Running::default());
        assert_eq!(exceeded(1, &running.enter(None)).await.kind, Kind::Limit);
    }
}
