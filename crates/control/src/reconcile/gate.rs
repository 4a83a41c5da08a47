//! Whether the API takes calls at all.

use std::time::Duration;

use vxscope_units::Timestamp;

use crate::budget::{Random, backoff};

/// Failures in a row, of the kind that is nobody's own, after which one call at a time is tried.
const FAILURES: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries: after an outage the first resume is no later than this.
const LONGEST: Duration = Duration::from_secs(20);

/// After so long without a failure, a reading that succeeds opens it, too: where everything is as
/// wanted there is no call that could.
const QUIET_NANOS: u64 = 60_000_000_000;

/// Open while calls succeed; then one at a time, rarer and rarer, until one does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    failures: u32,
    try_at: Timestamp,
    failed_at: Timestamp,
}

impl Gate {
    pub(crate) fn is_open(&self) -> bool {
        self.failures < FAILURES
    }

    /// How many calls may be under way now, given how many are.
    pub(crate) fn room(&self, under_way: usize, now: Timestamp) -> usize {
        if self.is_open() {
            usize::MAX
        } else {
            usize::from(under_way == 0 && now >= self.try_at)
        }
    }

    pub(crate) fn handle(&mut self, failed: bool, random: &mut Random, now: Timestamp) {
        if !failed {
            self.failures = 0;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        if let Some(extra) = self.failures.checked_sub(FAILURES) {
            let wait = backoff(extra, FIRST, LONGEST, random);
            self.try_at = now.plus_nanos(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// All sessions were read. The next failure closes it again.
    pub(crate) fn handle_reading(&mut self, now: Timestamp) {
        let quiet = now < self.failed_at || now.nanos_since(self.failed_at) >= QUIET_NANOS;
        if !self.is_open() && quiet {
            self.failures = FAILURES - 1;
        }
    }
}
