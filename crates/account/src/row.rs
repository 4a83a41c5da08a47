//! What one mirror source sent, and what became of it.

use vxscope_flow::{CloseReason, Crossing, Joined, Observed, Unstored, Untracked};
use vxscope_units::Timestamp;
use vxscope_wire::{Class, FrameView};

use crate::cells::Cells;
use crate::counts::Counts;

/// Counters of one mirror source; also the shape of the totals over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Frames decapsulated.
    pub packets: u64,
    /// Captured bytes of those frames.
    pub bytes: u64,
    /// Bytes by the inner IP headers.
    pub ip_bytes: u64,
    /// The captured bytes by direction and by the label of the frame's flow.
    pub cells: Cells,
    /// Frames with fewer bytes than on the wire.
    pub truncated: u64,
    /// Frames that are not IP.
    pub non_ip: u64,
    /// First fragments of inner packets.
    pub fragments_first: u64,
    /// Later fragments that found the ports of their first.
    pub fragments_later: u64,
    /// Later fragments whose first was not seen.
    pub fragments_orphan: u64,
    /// VXLAN headers with reserved bits set (RFC 7348 §5 wants them zero).
    pub reserved_bits: u64,
    /// Frames that belong to a flow.
    pub tracked: u64,
    /// Frames that belong to none, by reason.
    pub untracked: Counts<{ Untracked::COUNT }>,
    /// Frames put into a ring.
    pub stored: u64,
    /// Frames in no ring, by reason.
    pub unstored: Counts<{ Unstored::COUNT }>,
    /// Flows opened.
    pub flows: u64,
    /// Flows ended, by reason.
    pub closed: Counts<{ CloseReason::COUNT }>,
    /// Flows that nobody answered, or that were refused.
    pub failed: u64,
    /// DNS queries.
    pub dns_queries: u64,
    /// Flows to a port that the source's role should never serve.
    pub never_hits: u64,
    /// Capture time of the earliest frame; `None` before the first.
    pub first_seen: Option<Timestamp>,
    /// Capture time of the latest frame.
    pub last_seen: Option<Timestamp>,
}

/// One decapsulated frame, for counting.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it says.
    pub view: &'a FrameView,
    /// Capture time.
    pub timestamp: Timestamp,
    /// Which way it crosses the mirrored interface.
    pub crossing: Crossing,
    /// Whether it is a fragment.
    pub joined: Joined,
    /// Whether reserved bits of the tunnel header were set.
    pub reserved_bits: bool,
    /// What the flow table did with it.
    pub observed: Observed,
}

impl Frame<'_> {
    /// Whether more has to be counted than bytes: one question for nearly every frame.
    #[inline]
    fn is_out_of_the_ordinary(&self) -> bool {
        self.view.truncated
            | self.reserved_bits
            | self.observed.opened
            | (self.view.class == Class::NonIp)
            | (self.joined != Joined::Whole)
    }
}

impl Row {
    /// Counts one frame: in exactly one of tracked and untracked, of stored and unstored.
    #[inline]
    pub fn count(&mut self, frame: &Frame<'_>) {
        let bytes = u64::from(frame.view.captured_len);
        self.packets += 1;
        self.bytes += bytes;
        self.ip_bytes += u64::from(frame.view.ip_len);
        self.cells.add(frame.crossing, frame.observed.label, bytes);
        if frame.is_out_of_the_ordinary() {
            // A copy, so that other frames need not be in memory for this call.
            let copy = *frame;
            self.count_the_rest(&copy);
        }
        match frame.observed.tracked {
            Ok(()) => self.tracked += 1,
            Err(reason) => self.untracked.add(reason),
        }
        match frame.observed.stored {
            Ok(()) => self.stored += 1,
            Err(reason) => self.unstored.add(reason),
        }
        self.see(frame.timestamp);
    }

    /// What few frames are.
    #[inline(never)]
    fn count_the_rest(&mut self, frame: &Frame<'_>) {
        self.truncated += u64::from(frame.view.truncated);
        self.non_ip += u64::from(frame.view.class == Class::NonIp);
        self.reserved_bits += u64::from(frame.reserved_bits);
        self.flows += u64::from(frame.observed.opened);
        match frame.joined {
            Joined::Whole => {}
            Joined::First => self.fragments_first += 1,
            Joined::Later => self.fragments_later += 1,
            Joined::Orphan => self.fragments_orphan += 1,
        }
    }

    #[inline]
    fn see(&mut self, timestamp: Timestamp) {
        if self.first_seen.is_none_or(|first| timestamp < first) {
            self.first_seen = Some(timestamp);
        }
        if self.last_seen.is_none_or(|last| timestamp > last) {
            self.last_seen = Some(timestamp);
        }
    }

    /// All fragments.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.fragments_first + self.fragments_later + self.fragments_orphan
    }

    /// Adds another row. Associative and commutative, so workers may be merged in any order.
    pub fn merge(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.ip_bytes += other.ip_bytes;
        self.cells.merge(&other.cells);
        self.truncated += other.truncated;
        self.non_ip += other.non_ip;
        self.fragments_first += other.fragments_first;
        self.fragments_later += other.fragments_later;
        self.fragments_orphan += other.fragments_orphan;
        self.reserved_bits += other.reserved_bits;
        self.tracked += other.tracked;
        self.untracked.merge(&other.untracked);
        self.stored += other.stored;
        self.unstored.merge(&other.unstored);
        self.flows += other.flows;
        self.closed.merge(&other.closed);
        self.failed += other.failed;
        self.dns_queries += other.dns_queries;
        self.never_hits += other.never_hits;
        self.first_seen = match (self.first_seen, other.first_seen) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}
