//! What one unknown source sent. Nothing else is kept of it.

use vxscope_units::Timestamp;

/// Counters of one unknown mirror source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Frames.
    pub packets: u64,
    /// Captured bytes of those frames.
    pub bytes: u64,
    /// Capture time of the earliest; `None` before the first.
    pub first_seen: Option<Timestamp>,
    /// Capture time of the latest.
    pub last_seen: Option<Timestamp>,
}

impl QuarantineRow {
    pub(crate) fn count(&mut self, bytes: u64, timestamp: Timestamp) {
        self.merge(&Self {
            packets: 1,
            bytes,
            first_seen: Some(timestamp),
            last_seen: Some(timestamp),
        });
    }

    /// Adds another worker's row. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.first_seen = match (self.first_seen, other.first_seen) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}
