//! How long a worker waits for the writer, and what it gives up when it does not.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};
use vxscope_export::{FrameChunk, Offered, SinkCount};

use super::Delivery;
use crate::stop::Deadline;

/// How often a worker that waits at its end looks whether its time is up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a worker does when the writer is behind.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// Waits: the input is finite and can wait, too.
    Wait,
    /// Sheds and counts: the input is live.
    Shed {
        /// When to stop waiting at the end, where even a live worker waits.
        deadline: Arc<Deadline>,
    },
    /// Waits until then, and then sheds: a live input ended.
    Until(Arc<Deadline>),
}

/// What did not get to the writer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// Of the sinks for frames.
    pub(crate) frames: SinkCount,
    /// Of each sink for flow records.
    pub(crate) records: SinkCount,
    /// Of the sinks for never hits.
    pub(crate) never_hits: SinkCount,
    /// Facts: events that nobody will know of.
    pub(crate) facts: u64,
}

impl Lost {
    /// What a sink did not get.
    pub(crate) fn of(&self, offered: Offered) -> SinkCount {
        match offered {
            Offered::Frames => self.frames,
            Offered::Records => self.records,
            Offered::RecordsAndAnomalies => {
                let mut both = self.records;
                both.merge(&self.never_hits);
                both
            }
        }
    }
}

/// Waits for room until the deadline; gives the delivery back if there was none.
pub(super) fn send_until(
    sender: &Sender<Delivery>,
    mut delivery: Delivery,
    deadline: &Deadline,
) -> Option<Delivery> {
    loop {
        match sender.send_timeout(delivery, LOOK_EVERY) {
            Ok(()) => return None,
            Err(SendTimeoutError::Timeout(refused)) if !deadline.is_cut() => delivery = refused,
            Err(SendTimeoutError::Timeout(refused) | SendTimeoutError::Disconnected(refused)) => {
                return Some(refused);
            }
        }
    }
}

/// Waits for a chunk until the deadline.
pub(super) fn receive_until(
    pool: &Receiver<FrameChunk>,
    deadline: &Deadline,
) -> Option<FrameChunk> {
    loop {
        match pool.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) if !deadline.is_cut() => {}
            received => return received.ok(),
        }
    }
}
