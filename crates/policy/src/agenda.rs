//! What is due when: ends of pauses, and sources to look at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use vxscope_units::Timestamp;

use crate::SourceKey;

/// Moments with the sources they belong to. An entry holds as long as the source still names the
/// same moment; what a source no longer means is dropped when its turn comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda(BinaryHeap<Reverse<(Timestamp, SourceKey)>>);

impl Agenda {
    pub(crate) fn add(&mut self, at: Timestamp, source: SourceKey) {
        self.0.push(Reverse((at, source)));
    }

    /// The next entry that is due.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, SourceKey)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }

    /// The moment of the next entry, which may no longer hold.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops entries that no longer hold.
    pub(crate) fn retain(&mut self, holds: impl Fn(Timestamp, SourceKey) -> bool) {
        self.0.retain(|Reverse((at, source))| holds(*at, *source));
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(Timestamp, SourceKey)>()
    }
}
