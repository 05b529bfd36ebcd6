//! What is asked of the operating system and of the allocator for which no library has a safe function: the one file of
//! hotspan with `unsafe` in it. Used by the program and by the query engine's threads.
//!
//! *Invariants:* each call takes numbers, or a structure that lives until it returns, and keeps nothing; each is there for
//! what was measured (docs/adr/0017).

use std::io;
use std::time::Duration;

use libmimalloc_sys::mi_option_t;

/// The program's allocator: it costs less than the system's for many small arrays (docs/adr/0007).
pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which libmimalloc-sys does not name: milliseconds.
const PURGE_DELAY: mi_option_t = 15;

/// So soon after it was freed memory goes back to the system; mimalloc's own second is long at a gigabyte a second. Has no
/// effect where `MIMALLOC_PURGE_DELAY` is set.
#[allow(unsafe_code)]
pub fn give_back_after(delay: Duration) {
    let milliseconds = libc::c_long::try_from(delay.as_millis()).unwrap_or(libc::c_long::MAX);
    // SAFETY: the option exists, as the test below proves; any number is valid, and setting it is atomic.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, milliseconds) }
}

/// Has this thread run only when no other wants its core (`SCHED_IDLE`, sched(7)); whoever wakes up runs at once in its
/// place. It cannot be taken back without privileges.
///
/// # Errors
/// Those of sched_setscheduler(2); `Unsupported` on other systems than Linux.
#[allow(unsafe_code)]
pub fn run_when_idle() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let none = libc::sched_param { sched_priority: 0 };
        // SAFETY: 0 is the calling thread, and the structure lives until the call returns.
        match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn the_option_is_the_one_that_delays_giving_memory_back() {
        // SAFETY: reads a number.
        let now = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        // No other option of mimalloc 3 has this value to begin with (options.c).
        assert_eq!(now(), 1_000);
        give_back_after(Duration::from_millis(30));
        assert_eq!(now(), 30);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_calling_thread_alone_becomes_idle() {
        let policy = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("readable");
            let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
            // Field 41 of proc_pid_stat(5), counted from behind the name.
            fields.clone().nth(38).expect("policy").parse::<i32>().expect("a number")
        };
        let idle = std::thread::spawn(move || {
            run_when_idle().expect("needs no privilege");
            policy()
        });
        assert_eq!(idle.join().expect("no panic"), libc::SCHED_IDLE);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
