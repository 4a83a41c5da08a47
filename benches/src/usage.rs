//! CPU time as the kernel accounts it.

use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

/// CPU time that was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub kernel: Duration,
}

impl Cpu {
    /// Of this process, all threads.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_process() -> io::Result<Self> {
        cpu(UsageWho::RUSAGE_SELF)
    }

    /// Of this thread, to the nanosecond; all of it stands as the program's own, because this
    /// clock does not tell the kernel's part apart.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_thread() -> io::Result<Self> {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        Ok(Self {
            user: Duration::from(time),
            kernel: Duration::ZERO,
        })
    }

    /// Of all child processes that have been waited for.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_children() -> io::Result<Self> {
        cpu(UsageWho::RUSAGE_CHILDREN)
    }

    /// What was used since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            kernel: self.kernel.saturating_sub(before.kernel),
        }
    }

    /// With what another piece of work used.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            user: self.user + more.user,
            kernel: self.kernel + more.kernel,
        }
    }

    /// Both together.
    #[must_use]
    pub fn total(self) -> Duration {
        self.user + self.kernel
    }
}

fn cpu(who: UsageWho) -> io::Result<Cpu> {
    let usage = getrusage(who)?;
    Ok(Cpu {
        user: duration(usage.user_time()),
        kernel: duration(usage.system_time()),
    })
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
