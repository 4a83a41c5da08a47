//! A sequential log shared by all flows of a worker, cut into segments that are reused oldest
//! first. Sequential writes are what makes storing cheap: one stream, no scattered misses.
//!
//! ```text
//!  segments   | g7 | g8 | g9 | g10 | g3 | g4 | g5 | g6 |      g = generation, counts up
//!                          ▲ shared    ▲ heavy             two write positions at most
//! ```
//! A position is (generation, offset); it is valid as long as its segment still has that
//! generation. When one source writes more than half of a shared segment while others are
//! there, it is *heavy*: it gets segments of its own, at most half of the log, and then reuses
//! its own oldest. So a flood keeps its newest frames and never costs others theirs.

use std::collections::VecDeque;
use std::io;

use vxscope_memory::Slab;
use vxscope_units::{SourceId, Timestamp};

use super::record::{self, ALIGN, Header};

/// A segment is about this long; small logs get fewer bytes a segment rather than too few segments.
const SEGMENT_BYTES: usize = 1 << 20;
/// A source counts as active for this long after its latest frame: two Zeek UDP timeouts, so that
/// one that polls once a minute is not taken for gone between two polls.
const ACTIVE_NANOS: u64 = 120 * 1_000_000_000;
const SEGMENTS_MIN: usize = 4;
const SEGMENTS_MAX: usize = 1 << 12;

/// Where a record is: generation above bit 32, offset in units of 8 bytes below. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(u64);

impl Position {
    pub(super) const fn from_bits(bits: u64) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    generation: u32,
    heavy: bool,
    /// Time of its first record: how far back the log reaches.
    since: Timestamp,
    /// The source that wrote all of it, `None` if several did or none.
    sole: Option<SourceId>,
    used: usize,
}

#[derive(Clone, Copy, Debug)]
struct Heavy {
    source: SourceId,
    /// Bytes it wrote since the shared lane last took a segment.
    recent: usize,
    /// When another source last wrote.
    others: Timestamp,
}

/// Where the next record of a lane goes. What it wrote is settled in its segment when it leaves.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// The segment; `None` before the first.
    segment: Option<usize>,
    generation: u32,
    start: usize,
    next: usize,
    end: usize,
    /// The source of the first record, and whether all are of it.
    first: SourceId,
    mixed: bool,
}

const SHARED: usize = 0;
const HEAVY: usize = 1;

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    generation: u32,
    bytes: u32,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    slab: Slab,
    segment_len: usize,
    /// [`SHARED`] and [`HEAVY`].
    lanes: [Lane; 2],
    /// Bytes of each source in the current shared segment.
    usage: Vec<Usage>,
    /// More than this many make a majority.
    half_segment: u32,
    majority: Option<SourceId>,
    heavy: Option<Heavy>,
    segments: Vec<Segment>,
    /// Segment numbers, oldest first.
    age: VecDeque<usize>,
    generation: u32,
}

impl Log {
    pub(super) fn try_new(bytes: usize, sources_max: usize) -> io::Result<Self> {
        let count = (bytes / SEGMENT_BYTES).clamp(SEGMENTS_MIN, SEGMENTS_MAX);
        let segment_len = bytes / count / ALIGN * ALIGN;
        Ok(Self {
            slab: Slab::try_new(segment_len * count)?,
            segment_len,
            lanes: [Lane::default(); 2],
            usage: vec![Usage::default(); sources_max.saturating_add(1)],
            half_segment: u32::try_from(segment_len / 2).unwrap_or(u32::MAX),
            majority: None,
            heavy: None,
            segments: vec![Segment::default(); count],
            age: (0..count).collect(),
            generation: 0,
        })
    }

    pub(super) fn prefault(&mut self) {
        self.slab.prefault();
    }

    /// Appends a record of [`record::size_of_record`] bytes; `None` if it is longer than a segment.
    #[inline(always)]
    pub(super) fn append(
        &mut self,
        source: SourceId,
        header: &Header,
        frame: &[u8],
        size: usize,
    ) -> Option<Position> {
        let mut which = SHARED;
        if self.heavy.is_some_and(|heavy| heavy.source == source) {
            which = HEAVY;
        }
        let mut offset = self.lanes[which].next;
        if offset + size > self.lanes[which].end {
            which = self.next_segment(which, size, source, header.timestamp)?;
            offset = self.lanes[which].next;
        }
        let lane = &mut self.lanes[which];
        lane.mixed |= lane.first != source;
        lane.next = offset + size;
        let generation = lane.generation;
        let place = self.slab.get_mut(offset..lane.next)?;
        record::write(place, header, frame)?;
        if which == SHARED {
            self.account_shared(source, generation, size, header.timestamp);
        } else if let Some(heavy) = &mut self.heavy {
            heavy.recent += size;
        }
        Some(Position(
            u64::from(generation) << 32 | (offset / ALIGN) as u64,
        ))
    }

    #[inline(always)]
    fn account_shared(&mut self, source: SourceId, generation: u32, size: usize, now: Timestamp) {
        if let Some(usage) = self.usage.get_mut(source.index()) {
            let before = if usage.generation == generation {
                usage.bytes
            } else {
                0
            };
            let bytes = before.saturating_add(super::small(size));
            *usage = Usage { generation, bytes };
            if bytes > self.half_segment {
                self.majority = Some(source);
            }
        }
        if let Some(heavy) = &mut self.heavy {
            heavy.others = heavy.others.max(now);
        }
    }

    /// The lane that has room for the record now, on a segment of its own.
    #[cold]
    #[inline(never)]
    fn next_segment(
        &mut self,
        which: usize,
        size: usize,
        first: SourceId,
        now: Timestamp,
    ) -> Option<usize> {
        if size > self.segment_len {
            return None;
        }
        self.settle();
        let which = if which == SHARED {
            self.next_shared(now)
        } else {
            self.next_heavy(now)
        }?;
        self.lanes[which].first = first;
        Some(which)
    }

    /// Writes down in the segments what the lanes have put there.
    fn settle(&mut self) {
        for lane in &self.lanes {
            if let Some(segment) = lane.segment.and_then(|at| self.segments.get_mut(at)) {
                segment.used = lane.next - lane.start;
                segment.sole = (segment.used > 0 && !lane.mixed).then_some(lane.first);
            }
        }
    }

    /// The shared lane needs a segment: a good moment to see who is heavy.
    fn next_shared(&mut self, now: Timestamp) -> Option<usize> {
        // A heavy source that wrote less than one segment meanwhile is no longer heavy.
        if self
            .heavy
            .is_some_and(|heavy| heavy.recent < self.segment_len)
        {
            self.end_heavy();
        }
        if let Some(heavy) = &mut self.heavy {
            heavy.recent = 0;
        }
        if let Some(source) = self.majority.take()
            && self.heavy.is_none()
            && self.others_than(source)
        {
            self.heavy = Some(Heavy {
                source,
                recent: self.segment_len,
                others: now,
            });
        }
        let busy = self.lanes[HEAVY].segment;
        let place = self.age.iter().position(|at| Some(*at) != busy)?;
        self.take(place, SHARED, now)
    }

    fn next_heavy(&mut self, now: Timestamp) -> Option<usize> {
        let heavy = self.heavy?;
        if now.nanos_since(heavy.others) > ACTIVE_NANOS {
            // Nobody else has been there lately who would have to be protected.
            self.end_heavy();
            return self.next_shared(now);
        }
        let held = self.segments.iter().filter(|segment| segment.heavy).count();
        let is_own = |at: &usize| self.segments.get(*at).is_some_and(|segment| segment.heavy);
        let shared = self.lanes[SHARED].segment;
        let is_free = |at: &usize| Some(*at) != shared;
        let place = if held >= self.segments.len() / 2 {
            self.age.iter().position(is_own)?
        } else {
            self.age.iter().position(is_free)?
        };
        self.take(place, HEAVY, now)
    }

    fn end_heavy(&mut self) {
        self.heavy = None;
        self.lanes[HEAVY] = Lane::default();
    }

    /// Gives a lane the segment at a place of `age`, emptied; the lane.
    fn take(&mut self, place: usize, which: usize, now: Timestamp) -> Option<usize> {
        let at = self.age.remove(place)?;
        self.age.push_back(at);
        // Bit 31 stays free for the caller, 0 means "never used".
        self.generation = (self.generation + 1) & 0x7fff_ffff;
        let generation = self.generation.max(1);
        self.generation = generation;
        *self.segments.get_mut(at)? = Segment {
            generation,
            heavy: which == HEAVY,
            since: now,
            sole: None,
            used: 0,
        };
        let start = at * self.segment_len;
        self.lanes[which] = Lane {
            segment: Some(at),
            generation,
            start,
            next: start,
            end: start + self.segment_len,
            ..Lane::default()
        };
        Some(which)
    }

    fn others_than(&self, source: SourceId) -> bool {
        self.segments
            .iter()
            .any(|segment| segment.used > 0 && segment.sole != Some(source))
    }

    /// The record at a position, if it is still that of `flow_id`.
    pub(super) fn read(&self, position: Position, flow_id: u64) -> Option<(Header, &[u8])> {
        let offset = usize::try_from(position.0 & 0xffff_ffff).ok()? * ALIGN;
        let segment = self.segments.get(offset / self.segment_len.max(1))?;
        if u64::from(segment.generation) != position.0 >> 32 {
            return None;
        }
        let (header, frame) = record::read(self.slab.get(offset..)?)?;
        (header.flow_id == flow_id).then_some((header, frame))
    }

    /// Time of the oldest segment: it was taken for a record, so it holds one.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.age
            .iter()
            .filter_map(|at| self.segments.get(*at))
            .find(|segment| segment.generation > 0)
            .map(|segment| segment.since)
    }

    /// Bytes that records take.
    pub(super) fn used(&self) -> usize {
        let under_way = |at: usize| self.lanes.iter().find(|lane| lane.segment == Some(at));
        let segments = self.segments.iter().enumerate();
        let used = segments.map(|(at, segment)| match under_way(at) {
            Some(lane) => lane.next - lane.start,
            None => segment.used,
        });
        used.sum()
    }

    /// Bytes that there are for records.
    pub(super) fn size(&self) -> usize {
        self.segment_len * self.segments.len()
    }

    /// Segments of the heavy source.
    #[cfg(test)]
    pub(super) fn heavy_segments(&self) -> usize {
        self.segments.iter().filter(|segment| segment.heavy).count()
    }

    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }
}
