//! What became of what detectors wrote.

use std::sync::atomic::{AtomicU64, Ordering};

use vxscope_alert::Malformed;
use vxscope_report::Reasons;

vxscope_units::reasons! {
    /// What became of an alert. heard = saved + known + unmatched + ambiguous + failed + shed,
    /// once the queue is empty.
    pub(crate) enum Outcome {
        /// Alerts that were read.
        Heard = "heard",
        /// Its packets from before are saved.
        Saved = "saved",
        /// Its flow was saved for an earlier alert, and is still pinned.
        Known = "known",
        /// No flow of that time has its addresses.
        Unmatched = "unmatched",
        /// Flows of several tenants have, and nothing tells which is meant.
        Ambiguous = "ambiguous",
        /// It could not be saved, or not be written in the audit log.
        Failed = "failed",
        /// More came than are saved.
        Shed = "shed",
        /// Saved, and not pinned: there are too many pins.
        Unpinned = "unpinned",
        /// Times that a file or a socket could not be read.
        Unreadable = "unreadable",
    }
}

/// One counter for each outcome and each way to be malformed.
#[derive(Debug)]
pub(crate) struct Counts {
    outcomes: [AtomicU64; Outcome::COUNT],
    malformed: [AtomicU64; Malformed::COUNT],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            outcomes: [const { AtomicU64::new(0) }; Outcome::COUNT],
            malformed: [const { AtomicU64::new(0) }; Malformed::COUNT],
        }
    }
}

impl Counts {
    pub(crate) fn add(&self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get(outcome.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn malformed(&self, why: Malformed) {
        if let Some(count) = self.malformed.get(why.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By name, 0 included.
    pub(crate) fn read(&self) -> Reasons {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let outcomes = Outcome::ALL.iter().map(|it| it.name().to_owned());
        let malformed = Malformed::ALL.iter();
        let malformed = malformed.map(|it| format!("malformed_{}", it.name()));
        outcomes
            .zip(self.outcomes.iter().map(read))
            .chain(malformed.zip(self.malformed.iter().map(read)))
            .collect()
    }
}
