//! A thread of another process that stands still, as it does on a disk that hangs.

use std::fs;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sensor::until;
use crate::skip;

/// Moves on when it is dropped or [`Frozen::thaw`]ed.
pub(crate) struct Frozen(Pid);

impl Frozen {
    /// Stops the thread of that name. `None`, with a note, where no process may be traced; in CI
    /// it must be possible.
    pub(crate) fn try_new(pid: u32, name: &str) -> Option<Self> {
        let thread = Pid::from_raw(thread(pid, name));
        if let Err(error) = ptrace::seize(thread, Options::empty()) {
            skip(&format!("no process can be traced: {error}"));
            return None;
        }
        ptrace::interrupt(thread).expect("a thread of ours");
        let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).expect("a thread of ours");
        assert!(
            matches!(stopped, WaitStatus::PtraceEvent(..)),
            "{stopped:?}"
        );
        Some(Self(thread))
    }

    pub(crate) fn thaw(self) {
        ptrace::detach(self.0, None).expect("a thread that stands still");
    }

    /// Waits for the end of its process, which takes it along.
    pub(crate) fn wait_for_the_end(self) {
        until(
            "the end of a process with a thread that stands still",
            || {
                let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
                match waitpid(self.0, Some(flags)) {
                    Ok(WaitStatus::StillAlive | WaitStatus::PtraceEvent(..)) => None,
                    Ok(_) | Err(Errno::ECHILD) => Some(()),
                    Err(error) => {
                        assert_eq!(error, Errno::EINTR);
                        None
                    }
                }
            },
        );
    }
}

/// The number of a thread, which may be about to start.
fn thread(pid: u32, name: &str) -> i32 {
    let found = until(name, || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
        let mut tasks = tasks.flatten().map(|task| task.path());
        tasks.find(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|found| found.trim() == name)
        })
    });
    let id = found.file_name().and_then(|id| id.to_str());
    id.and_then(|id| id.parse().ok()).expect("a number")
}
