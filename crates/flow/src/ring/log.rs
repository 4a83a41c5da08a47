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
    segment: Option<usize>,
    /// Bytes it wrote since the shared lane last took a segment.
    recent: usize,
    /// When another source last wrote.
    others: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    generation: u32,
    bytes: usize,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    slab: Slab,
    segment_len: usize,
    segments: Vec<Segment>,
    /// Segment numbers, oldest first.
    age: VecDeque<usize>,
    generation: u32,
    shared: Option<usize>,
    heavy: Option<Heavy>,
    /// Bytes of each source in the current shared segment.
    usage: Vec<Usage>,
    majority: Option<SourceId>,
}

impl Log {
    pub(super) fn try_new(bytes: usize, sources_max: usize) -> io::Result<Self> {
        let count = (bytes / SEGMENT_BYTES).clamp(SEGMENTS_MIN, SEGMENTS_MAX);
        let segment_len = bytes / count / ALIGN * ALIGN;
        Ok(Self {
            slab: Slab::try_new(segment_len * count)?,
            segment_len,
            segments: vec![Segment::default(); count],
            age: (0..count).collect(),
            generation: 0,
            shared: None,
            heavy: None,
            usage: vec![Usage::default(); sources_max.saturating_add(1)],
            majority: None,
        })
    }

    pub(super) fn prefault(&mut self) {
        self.slab.prefault();
    }

    /// Appends a record; `None` if it is longer than a segment.
    #[inline]
    pub(super) fn append(
        &mut self,
        source: SourceId,
        header: &Header,
        frame: &[u8],
    ) -> Option<Position> {
        let size = record::size_of_record(frame.len());
        if size > self.segment_len {
            return None;
        }
        let heavy = self.heavy.is_some_and(|heavy| heavy.source == source);
        let current = if heavy {
            self.heavy.and_then(|heavy| heavy.segment)
        } else {
            self.shared
        };
        let has_room = |at: &usize| {
            self.segments
                .get(*at)
                .is_some_and(|s| s.used + size <= self.segment_len)
        };
        let at = match current.filter(has_room) {
            Some(at) => at,
            None if heavy => self.next_heavy(header.timestamp)?,
            None => self.next_shared(header.timestamp)?,
        };
        let segment = self.segments.get_mut(at)?;
        let offset = at * self.segment_len + segment.used;
        let place = self.slab.get_mut(offset..offset + size)?;
        if !record::write(place, header, frame) {
            return None;
        }
        if segment.used == 0 {
            segment.sole = Some(source);
        } else if segment.sole != Some(source) {
            segment.sole = None;
        }
        segment.used += size;
        let generation = segment.generation;
        self.account(source, heavy, generation, size, header.timestamp);
        Some(Position(
            u64::from(generation) << 32 | (offset / ALIGN) as u64,
        ))
    }

    #[inline]
    fn account(
        &mut self,
        source: SourceId,
        heavy: bool,
        generation: u32,
        size: usize,
        now: Timestamp,
    ) {
        if heavy {
            if let Some(heavy) = &mut self.heavy {
                heavy.recent += size;
            }
            return;
        }
        if let Some(usage) = self.usage.get_mut(source.index()) {
            if usage.generation != generation {
                *usage = Usage {
                    generation,
                    bytes: 0,
                };
            }
            usage.bytes += size;
            if usage.bytes > self.segment_len / 2 {
                self.majority = Some(source);
            }
        }
        if let Some(heavy) = &mut self.heavy {
            heavy.others = heavy.others.max(now);
        }
    }

    /// The shared lane needs a segment: a good moment to see who is heavy.
    #[cold]
    fn next_shared(&mut self, now: Timestamp) -> Option<usize> {
        // A heavy source that wrote less than one segment meanwhile is no longer heavy.
        if self
            .heavy
            .is_some_and(|heavy| heavy.recent < self.segment_len)
        {
            self.heavy = None;
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
                segment: None,
                recent: self.segment_len,
                others: now,
            });
        }
        let busy = self.heavy.and_then(|heavy| heavy.segment);
        let place = self.age.iter().position(|at| Some(*at) != busy)?;
        let at = self.take(place, false, now)?;
        self.shared = Some(at);
        Some(at)
    }

    #[cold]
    fn next_heavy(&mut self, now: Timestamp) -> Option<usize> {
        let heavy = self.heavy?;
        if now.nanos_since(heavy.others) > ACTIVE_NANOS {
            // Nobody else has been there lately who would have to be protected.
            self.heavy = None;
            return self.next_shared(now);
        }
        let held = self.segments.iter().filter(|segment| segment.heavy).count();
        let is_own = |at: &usize| self.segments.get(*at).is_some_and(|segment| segment.heavy);
        let is_free = |at: &usize| Some(*at) != self.shared;
        let place = if held >= self.segments.len() / 2 {
            self.age.iter().position(is_own)?
        } else {
            self.age.iter().position(is_free)?
        };
        let at = self.take(place, true, now)?;
        self.heavy = Some(Heavy {
            segment: Some(at),
            ..heavy
        });
        Some(at)
    }

    fn take(&mut self, place: usize, heavy: bool, now: Timestamp) -> Option<usize> {
        let at = self.age.remove(place)?;
        self.age.push_back(at);
        // Bit 31 stays free for the caller, 0 means "never used".
        self.generation = (self.generation + 1) & 0x7fff_ffff;
        let generation = self.generation.max(1);
        self.generation = generation;
        *self.segments.get_mut(at)? = Segment {
            generation,
            heavy,
            since: now,
            sole: None,
            used: 0,
        };
        Some(at)
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

    /// Time of the oldest segment that still holds records.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.age
            .iter()
            .filter_map(|at| self.segments.get(*at))
            .find(|s| s.used > 0)
            .map(|s| s.since)
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
