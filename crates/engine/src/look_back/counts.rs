//! What looking back did so far, for status, metrics and summary.

use std::sync::atomic::{AtomicU64, Ordering};

use vxscope_report::Reasons;

vxscope_units::reasons! {
    /// What happened.
    pub(crate) enum Happened {
        /// Somebody was given packets.
        Extracted = "extractions",
        /// Somebody asked for what is not there.
        NotFound = "not_found",
        /// Flows that were given.
        Flows = "flows",
        /// Packets that were given.
        Packets = "packets",
        /// Captured bytes of these.
        Bytes = "bytes",
        /// Requests that were refused: what is asked makes no sense, or may not be had.
        Refused = "refused",
        /// Nothing was given because the audit log could not be written.
        Unaudited = "unaudited",
        /// Nothing was given because a worker did not answer, or the run was ending.
        Unanswered = "unanswered",
        /// Pins that began.
        Pinned = "pins",
        /// Pins that were refused: there were too many.
        PinsRefused = "pins_refused",
        /// Packets that pins have.
        PinPackets = "pin_packets",
        /// Packets that pins lack because there was no box for them.
        PinShed = "pin_packets_shed",
        /// Pins that ended because they were full.
        PinsFull = "pins_full",
        /// Captures that could not be written.
        WriteErrors = "write_errors",
        /// Captures that were removed because of their age.
        RemovedOld = "removed_old",
        /// Captures that were removed to make room.
        RemovedRoom = "removed_room",
    }
}

/// One counter for each.
#[derive(Debug)]
pub(crate) struct Counts([AtomicU64; Happened::COUNT]);

impl Default for Counts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Happened::COUNT])
    }
}

impl Counts {
    pub(crate) fn add(&self, what: Happened, more: u64) {
        if let Some(count) = self.0.get(what.index()) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// By name, 0 included.
    pub(crate) fn read(&self) -> Reasons {
        let names = Happened::ALL.iter().map(|it| it.name().to_owned());
        names
            .zip(self.0.iter().map(|it| it.load(Ordering::Relaxed)))
            .collect()
    }
}
