//! Who looks at a run, and what there is to see.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use vxscope_account::Statement;
use vxscope_capture::live::Backend;
use vxscope_capture::udp::{Inherited, Steered};
use vxscope_steward::Notice;

use super::LOOK_EVERY;
use crate::accounting::Pulse;
use crate::clock::LiveClock;
use crate::command::Commands;
use crate::neighbour::Neighbours;
use crate::plan::Plan;
use crate::presence::Presence;

/// What a run says before the first packet.
#[derive(Clone, Debug)]
pub struct Started {
    /// What was reserved.
    pub plan: Plan,
    /// How it receives.
    pub backend: Backend,
    /// Why it is not the packet ring, if that was tried.
    pub declined: Option<String>,
    /// How the kernel chooses among the sockets of a port, if there are several.
    pub steered: Option<Steered>,
    /// The first port for VXLAN.
    pub vxlan_port: Option<u16>,
    /// Where it listens: address, port, what comes there.
    pub listening: Vec<String>,
    /// Where it answers.
    pub answering: Vec<String>,
    /// What was taken over from the run before.
    pub inherited: Option<Inherited>,
    /// What is less than was asked for, and what to do about it.
    pub warnings: Vec<String>,
    /// The way to tell the running sensor something.
    pub commands: Commands,
}

/// How a run stands, at each tick.
#[derive(Clone, Debug)]
pub struct Status {
    /// Since the sockets were opened.
    pub elapsed: Duration,
    /// The ledger by source.
    pub statement: Statement,
    /// Datagrams that the kernel dropped.
    pub kernel_dropped: u64,
}

/// Who looks at a run.
pub trait Observer {
    /// Sockets of the run before that somebody has held, each with its name.
    fn take_held(&mut self) -> Vec<(String, OwnedFd)> {
        Vec::new()
    }

    /// The sockets of the run before are not what is wanted now, and are closed here; returns
    /// when nobody has them any more.
    fn release_held(&mut self) {}

    /// A socket that somebody may hold under this name, for the run after this one. Whether
    /// somebody does.
    fn hold(&mut self, _name: &str, _socket: BorrowedFd<'_>) -> bool {
        false
    }

    /// The sockets are open.
    fn handle_start(&mut self, started: &Started);

    /// A tick passed. One who takes longer than a tick is shown the latest.
    fn handle_status(&mut self, status: &Status);

    /// Nothing is received yet, and why.
    fn handle_waiting(&mut self, _why: &str) {}

    /// Something was decided about a mirror, or a mirror is another one.
    fn handle_notice(&mut self, _notice: &Notice) {}

    /// Several times a second, with the time since the worker that is furthest behind came round.
    fn handle_look(&mut self, _heartbeat_age: Duration) {}

    /// Something that somebody should know at once, and that the summary repeats.
    fn handle_warning(&mut self, _warning: &str) {}
}

/// What there is to see of a run.
pub(super) struct Seen {
    pub(super) pulse: Arc<Pulse>,
    pub(super) statuses: Receiver<Status>,
    pub(super) notices: Receiver<Notice>,
}

/// Shows statuses as they come, and looks around in between, until the accounting has ended.
pub(super) fn watch(
    seen: &Seen,
    neighbours: &mut Neighbours,
    presence: &mut Presence,
    clock: LiveClock,
    observer: &mut dyn Observer,
) {
    loop {
        let status = seen.statuses.recv_timeout(LOOK_EVERY);
        for notice in seen.notices.try_iter() {
            observer.handle_notice(&notice);
        }
        match status {
            Ok(status) => observer.handle_status(&status),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        observer.handle_look(seen.pulse.age());
        let elapsed = clock.elapsed();
        for warning in neighbours
            .poll(elapsed)
            .into_iter()
            .chain(presence.poll(elapsed))
        {
            observer.handle_warning(&warning);
        }
    }
}
