//! Notices packets that were mirrored at both of their ends, and so came twice.
//!
//! Two copies are the same packet if everything from the IP header to the first bytes of payload is
//! equal, but for what changes on the way (TTL, hop limit) and what a mirror leaves unset
//! (checksums), and if they come from two sources within a second. A fixed table remembers what
//! came lately; it forgets at random rather than grow.

mod print;
mod tally;

use std::ops::Range;

use vxscope_units::MirrorSource;
use vxscope_wire::{FrameView, read_frame};

use crate::chunk::{Frame, FrameChunk};
use print::print;
pub use tally::{DuplicatePair, DuplicateSummary, DuplicateTally, PAIRS_MAX};

/// Packets that are remembered: a second of 100,000 of them, in about 6 MiB. A newer one takes the
/// place of an older one, which is counted.
const SLOTS: usize = 1 << 17;
/// How far apart two copies may be, in nanoseconds.
const WINDOW_NANOS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct Duplicates {
    slots: Vec<Slot>,
    seed: u64,
    suppress: bool,
    view: FrameView,
    tally: DuplicateTally,
}

/// A packet that came lately, and where from.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    print: u64,
    nanos: u64,
    source: Option<MirrorSource>,
}

impl Duplicates {
    /// Looks for copies and counts them in `tally`; with `suppress` also says which to keep from
    /// other programs. `seed` keeps senders from knowing what falls together.
    #[must_use]
    pub fn new(suppress: bool, seed: u64, tally: DuplicateTally) -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            seed,
            suppress,
            view: FrameView::default(),
            tally,
        }
    }

    /// Divides the frames of `chunk` at `positions` into runs that are to be handed on (`true`)
    /// and runs that are not.
    pub fn split(
        &mut self,
        chunk: &FrameChunk,
        positions: Range<usize>,
        mut take: impl FnMut(Range<usize>, bool),
    ) {
        let (mut start, mut passes) = (positions.start, true);
        for (position, frame) in positions.clone().zip(chunk.frames(positions.clone())) {
            let passes_too = !self.observe(&frame);
            if passes_too != passes && position > start {
                take(start..position, passes);
                start = position;
            }
            passes = passes_too;
        }
        if start < positions.end {
            take(start..positions.end, passes);
        }
    }

    /// Takes a frame in; whether it is to be kept from other programs.
    fn observe(&mut self, frame: &Frame<'_>) -> bool {
        read_frame(frame.bytes, frame.original_len, &mut self.view);
        let Some(print) = print(&self.view, frame.bytes, self.seed) else {
            return false;
        };
        let place = usize::try_from(print % SLOTS as u64).unwrap_or_default();
        let Some(slot) = self.slots.get_mut(place) else {
            return false;
        };
        let nanos = frame.timestamp.as_nanos();
        let is_recent = nanos.abs_diff(slot.nanos) <= WINDOW_NANOS;
        match slot.source.filter(|_| is_recent) {
            Some(other) if slot.print == print && other != frame.source => {
                // Both are there: a third copy would be a packet sent again.
                slot.source = None;
                self.count(other, frame.source)
            }
            other => {
                if other.is_some() && slot.print != print {
                    self.tally.counts().forgotten += 1;
                }
                *slot = Slot {
                    print,
                    nanos,
                    source: Some(frame.source),
                };
                false
            }
        }
    }

    /// Counts a packet of two sources; whether the later copy is to go no further. It does if both
    /// are the packet's ends for certain: two tenants may have the same addresses.
    fn count(&self, earlier: MirrorSource, later: MirrorSource) -> bool {
        let (from, to) = self.view.tuple.addresses.pair();
        let ends = (earlier.address, later.address);
        let suppressed = self.suppress && (ends == (from, to) || ends == (to, from));
        self.tally.counts().add([earlier, later], suppressed);
        suppressed
    }
}

#[cfg(test)]
mod tests {
    use vxscope_units::{MirrorSource, Timestamp, Vni};

    use super::{DuplicateTally, Duplicates, SLOTS};
    use crate::chunk::FrameChunk;

    /// The two ends of all packets here, and somebody else.
    const ENDS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.9"];

    #[test]
    fn copies_of_two_ends_are_counted_and_the_later_one_is_kept_back() {
        let copies = [(0, 1, 0), (1, 1, 1), (0, 2, 2), (1, 2, 3)];
        check(true, &copies, &[true, false, true, false], (2, 2));
        check(false, &copies, &[true, true, true, true], (2, 0));
    }

    #[test]
    fn what_is_sent_again_is_no_copy() {
        let copies = [(0, 1, 0), (0, 1, 1), (1, 1, 2), (0, 1, 3), (1, 1, 4)];
        check(true, &copies, &[true, true, false, true, false], (2, 2));
    }

    #[test]
    fn who_is_not_an_end_loses_nothing() {
        let copies = [(0, 1, 0), (2, 1, 1)];
        check(true, &copies, &[true, true], (1, 0));
    }

    #[test]
    fn later_than_a_second_is_another_packet() {
        let copies = [(0, 1, 0), (1, 1, 1_001)];
        check(true, &copies, &[true, true], (0, 0));
    }

    #[test]
    fn a_flood_is_forgotten_and_counted_and_takes_no_more_memory() {
        let mut duplicates = Duplicates::new(true, 7, DuplicateTally::default());
        for round in 0..4 {
            let numbers = (0..60_000).map(|number| (0, round * 60_000 + number, 0));
            for batch in numbers.collect::<Vec<_>>().chunks(1_000) {
                let chunk = chunk(batch);
                duplicates.split(&chunk, 0..chunk.len(), |_, passes| assert!(passes));
            }
        }
        let summary = duplicates.tally.summary();
        assert!(summary.forgotten > 60_000, "{summary:?}");
        assert_eq!((summary.frames, duplicates.slots.len()), (0, SLOTS));
    }

    /// Copies by (source, number of the packet, milliseconds): who passes, and how many are copies
    /// and kept back.
    fn check(suppress: bool, copies: &[(usize, u32, u64)], passes: &[bool], counts: (u64, u64)) {
        let mut duplicates = Duplicates::new(suppress, 7, DuplicateTally::default());
        let (chunk, mut passed) = (chunk(copies), Vec::new());
        duplicates.split(&chunk, 0..chunk.len(), |run, pass| {
            assert_eq!(run.start, passed.len());
            passed.extend(run.map(|_| pass));
        });
        assert_eq!(passed, passes);
        let summary = duplicates.tally.summary();
        assert_eq!((summary.frames, summary.suppressed), counts);
        let pairs: u64 = summary.pairs.iter().map(|it| it.frames).sum();
        assert_eq!(pairs, summary.frames);
    }

    /// UDP from one end to the other; TTL and checksums differ by source.
    fn chunk(copies: &[(usize, u32, u64)]) -> FrameChunk {
        let mut chunk = FrameChunk::with_capacity(1 << 20);
        for (index, (source, number, millis)) in (0..).zip(copies) {
            let other = u8::try_from(*source).unwrap();
            let [n0, n1, n2, n3] = number.to_be_bytes();
            let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
            frame.extend([0x45, 0, 0, 32, n2, n3, 0, 0, 64 - other, 17, other, other]);
            frame.extend([
                10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0, 53, 0, 12, other, other,
            ]);
            frame.extend([n0, n1, n2, n3]);
            let mirror = MirrorSource {
                address: ENDS[*source].parse().unwrap(),
                vni: Vni::try_new(u32::from(other) + 1).unwrap(),
            };
            let time = Timestamp::from_nanos(1_000_000_000_000 + millis * 1_000_000);
            assert!(chunk.push(index, time, mirror, &frame, 46));
        }
        chunk
    }
}
