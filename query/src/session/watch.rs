//! The last resort against a query that takes more memory than the engine's accounting knows of: the process itself
//! is watched while queries run, and they end before the machine does.

use std::path::{Component, Path};
use std::time::{Duration, Instant};

use model::{Error, Kind};

use super::running::Seat;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// A query that is younger is not ended: most are done by then, and it is not what took the memory.
const GRACE: Duration = Duration::from_millis(500);
/// Rows that only queries have are worth a query when they are one in so many bytes of what the process may take.
const MANY_ROWS: u64 = 16;

const TOO_MUCH: &str = "the query was ended because the process came near its memory limit (query.process_bytes)";
const LESS: &str = "narrow the time range, group by fewer values, or add a LIMIT";
const TOO_OLD: &str = "the query was ended because it still had rows that have left memory since it began, and the process came \
                       near its memory limit (query.process_bytes)";
const LATER: &str = "leave out the newest seconds, narrow the time range, or ask again when less is coming in";

/// The most the process may take: as set, else three quarters of what the container or the machine has.
pub fn ceiling(set: u64) -> u64 {
    if set > 0 {
        return set;
    }
    machine_memory().map_or(u64::MAX, |bytes| bytes / 4 * 3)
}

/// Bytes of memory that this process may take: of the container or service it runs in (a limit on any control group
/// around it counts), or of the machine when it has less; `None` where the system does not tell.
pub fn machine_memory() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(Path::new("/sys/fs/cgroup"), &groups);
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    [group, machine].into_iter().flatten().min()
}

/// The smallest limit of memory on the control groups named in `groups` (the text of `/proc/self/cgroup`) and on all
/// above them, of either version, under `root`. A container may see its own group as the root, whatever it is called.
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        // A group outside of the container's own begins with "/..": what can be seen of it is the root.
        let names = Path::new(group).components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let folder = names.fold(root.clone(), |folder, name| folder.join(name));
        let above = folder.ancestors().take_while(|folder| folder.starts_with(&root));
        limits.extend(above.filter_map(|folder| limit(&folder.join(file))));
    }
    // Without such a line, as where /proc is hidden, the container's own.
    limits.into_iter().min().or_else(|| limit(&root.join("memory.max")))
}

/// None also for "max", and for what says that nothing is there.
fn limit(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Bytes of memory the process holds; `None` where the system does not tell.
fn resident() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Comes back only when the process is above its ceiling, and the query is the one that has to end for it. `rows` tells how many
/// bytes of rows are only there because somebody has them.
pub async fn exceeded(ceiling: u64, seat: &Seat, rows: impl Fn() -> u64) -> Error {
    tokio::time::sleep(GRACE).await;
    let mut tick = tokio::time::interval(INTERVAL);
    loop {
        tick.tick().await;
        let Some(resident) = resident().filter(|resident| *resident > ceiling) else { continue };
        let rows = rows();
        let by_rows = rows > ceiling / MANY_ROWS;
        if !seat.has_to_end(Instant::now(), by_rows) {
            continue;
        }
        tracing::warn!(resident, ceiling, rows, "a query is ended: the process takes too much memory");
        return if by_rows {
            Error::new(Kind::Limit, TOO_OLD).hint(LATER)
        } else {
            Error::new(Kind::Limit, TOO_MUCH).hint(LESS)
        };
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

    /// Folders with a limit each.
    fn limited(folders: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (file, text) in folders {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        root
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let root = limited(&[
            ("system.slice/memory.max", "4000\n"),
            ("system.slice/hotspan.service/memory.max", "3000\n"),
            ("user.slice/memory.max", "10\n"),
        ]);
        let of = |groups: &str| group_limit(root.path(), groups);
        assert_eq!(of("0::/system.slice/hotspan.service\n"), Some(3000));
        assert_eq!(of("0::/system.slice/hotspan.service/inner\n"), Some(3000), "a group without a file");
        assert_eq!(of("0::/system.slice\n"), Some(4000));
        assert_eq!(of("0::/\n"), None);
        std::fs::write(root.path().join("system.slice/hotspan.service/memory.max"), "max\n").expect("written");
        assert_eq!(of("0::/system.slice/hotspan.service\n"), Some(4000));
        std::fs::write(root.path().join("system.slice/memory.max"), "max\n").expect("written");
        assert_eq!(of("0::/system.slice/hotspan.service\n"), None);
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_root_has_that_ones_limit() {
        let root = limited(&[("memory.max", "2000\n")]);
        for groups in ["0::/\n", "0::/../other\n", "0::/docker/1f\n", "", "nonsense\n", "4:cpu:/\n"] {
            assert_eq!(group_limit(root.path(), groups), Some(2000), "{groups:?}");
        }
    }

    #[test]
    fn version_1_has_a_folder_for_memory() {
        let root = limited(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/1f/memory.limit_in_bytes", "5000\n"),
            ("cpu/docker/1f/memory.limit_in_bytes", "1\n"),
        ]);
        let groups = |group: &str| format!("5:cpu,cpuacct:{group}\n4:memory:{group}\n0::{group}\n");
        assert_eq!(group_limit(root.path(), &groups("/docker/1f")), Some(5000));
        assert_eq!(group_limit(root.path(), &groups("/")), Some(9_223_372_036_854_771_712));
    }

    #[tokio::test]
    async fn a_process_above_its_ceiling_is_noticed() {
        let running = std::sync::Arc::new(Running::default());
        assert_eq!(exceeded(1, &running.enter(None), || 0).await.kind, Kind::Limit);
    }
}
