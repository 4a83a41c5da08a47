//! What intrusion detectors say of sources, from any thread: bounded, counted, never lost in
//! silence.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use vxscope_report::Reasons;
use vxscope_units::MirrorSource;

/// Alerts a second that are taken in the long run, of all detectors together: what a report can
/// tell and a person can read is far below. Beyond it and [`BURST`] whoever sends one is told so,
/// and it is counted.
pub const ALERTS_PER_SECOND: u32 = 1_000;
/// Alerts that are taken at once after a quiet while.
const BURST: u32 = 4_096;
/// Bytes of a reason that are kept: a rule's name. The rest is cut off.
pub const REASON_BYTES_MAX: usize = 256;

/// What a detector says of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whom it concerns.
    pub source: MirrorSource,
    /// Who troubled it, or was troubled by it.
    pub peer: Option<IpAddr>,
    /// Whether it keeps the source full for the longer time.
    pub severe: bool,
    /// Why, for people: the name of a rule. May be empty.
    pub reason: String,
}

/// Why an alert was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unheard {
    /// More came than a sensor takes.
    #[error("too many alerts: {ALERTS_PER_SECOND} a second are taken")]
    TooMany,
    /// The bind table does not have it, and it has sent nothing yet.
    #[error("no such mirror source: it is not in the bind table and has sent nothing")]
    UnknownSource,
    /// There was no memory for it, and nobody looks after mirrors.
    #[error("no memory is left for this source; see signals.memory")]
    NoMemory,
}

/// What became of alerts.
const OUTCOMES: [&str; 4] = ["taken", "too_many", "unknown_source", "no_memory"];

/// How many may come, and how many came.
#[derive(Debug)]
pub(crate) struct Alerts {
    bucket: Mutex<Bucket>,
    counts: [AtomicU64; OUTCOMES.len()],
}

/// A token bucket, in thousandths of an alert.
#[derive(Debug)]
struct Bucket {
    left: u64,
    filled: Duration,
}

impl Default for Alerts {
    fn default() -> Self {
        let full = Bucket {
            left: u64::from(BURST) * 1_000,
            filled: Duration::ZERO,
        };
        Self {
            bucket: Mutex::new(full),
            counts: Default::default(),
        }
    }
}

impl Alerts {
    /// Whether one more may come, so long after the start.
    pub(crate) fn allow(&self, elapsed: Duration) -> Result<(), Unheard> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = elapsed.saturating_sub(bucket.filled);
        // What is too short for a thousandth counts with the next.
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let fresh = micros.saturating_mul(ALERTS_PER_SECOND.into()) / 1_000;
        if fresh > 0 {
            let full = u64::from(BURST) * 1_000;
            bucket.left = bucket.left.saturating_add(fresh).min(full);
            bucket.filled = elapsed;
        }
        bucket.left = bucket.left.checked_sub(1_000).ok_or(Unheard::TooMany)?;
        Ok(())
    }

    /// Counts what became of one.
    pub(crate) fn count(&self, result: Result<(), Unheard>) {
        let outcome = match result {
            Ok(()) => 0,
            Err(Unheard::TooMany) => 1,
            Err(Unheard::UnknownSource) => 2,
            Err(Unheard::NoMemory) => 3,
        };
        if let Some(count) = self.counts.get(outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By what became of them, 0 included.
    pub(crate) fn counts(&self) -> Reasons {
        let counts = self.counts.iter().map(|it| it.load(Ordering::Relaxed));
        OUTCOMES
            .iter()
            .map(|it| (*it).to_owned())
            .zip(counts)
            .collect()
    }
}

impl Alert {
    /// The same with a reason of one line that is not too long.
    pub(crate) fn tidy(mut self) -> Self {
        if self.reason.len() > REASON_BYTES_MAX {
            let end = self.reason.floor_char_boundary(REASON_BYTES_MAX);
            self.reason.truncate(end);
        }
        if self.reason.contains(char::is_control) {
            self.reason = self.reason.replace(char::is_control, " ");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_units::Vni;

    #[test]
    fn a_flood_is_held_to_the_rate() {
        let alerts = Alerts::default();
        let taken = |elapsed| {
            (0..10_000)
                .filter(|_| alerts.allow(elapsed).is_ok())
                .count()
        };
        assert_eq!(taken(Duration::ZERO), BURST as usize);
        assert_eq!(taken(Duration::from_micros(999)), 0);
        assert_eq!(
            taken(Duration::from_secs(2)),
            2 * ALERTS_PER_SECOND as usize
        );
        assert_eq!(taken(Duration::from_secs(3_600)), BURST as usize);
        // A clock that stands still gives nothing.
        assert_eq!(taken(Duration::from_secs(3_600)), 0);
    }

    #[test]
    fn many_looks_give_no_less_than_few() {
        let alerts = Alerts::default();
        let taken = (0..=2_000_000_u64)
            .step_by(7)
            .filter(|micros| alerts.allow(Duration::from_micros(*micros)).is_ok());
        let expected = BURST + 2 * ALERTS_PER_SECOND;
        assert!(taken.count().abs_diff(expected as usize) <= 1);
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let alert = Alert {
            source: MirrorSource {
                address: [10, 0, 0, 1].into(),
                vni: Vni::try_new(1).unwrap(),
            },
            peer: None,
            severe: false,
            reason: format!("a\nb{}", "é".repeat(300)),
        };
        let reason = alert.tidy().reason;
        assert!(reason.starts_with("a bé"), "{reason}");
        assert!(reason.len() <= REASON_BYTES_MAX && reason.len() > REASON_BYTES_MAX - 2);
    }

    #[test]
    fn every_outcome_is_counted_by_its_name() {
        let alerts = Alerts::default();
        let all = [
            Ok(()),
            Err(Unheard::TooMany),
            Err(Unheard::UnknownSource),
            Err(Unheard::NoMemory),
        ];
        all.into_iter().for_each(|one| alerts.count(one));
        assert!(alerts.counts().values().all(|count| *count == 1));
        assert_eq!(alerts.counts().len(), all.len());
    }
}
