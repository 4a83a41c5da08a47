//! CPU time as the kernel accounts it.

use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// User and system time of this process, all threads.
///
/// # Errors
/// What the kernel says.
pub fn cpu_of_process() -> io::Result<Duration> {
    cpu(UsageWho::RUSAGE_SELF)
}

/// User and system time of all child processes that have been waited for.
///
/// # Errors
/// What the kernel says.
pub fn cpu_of_children() -> io::Result<Duration> {
    cpu(UsageWho::RUSAGE_CHILDREN)
}

fn cpu(who: UsageWho) -> io::Result<Duration> {
    let usage = getrusage(who)?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
