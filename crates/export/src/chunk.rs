//! A pooled block of inner frames, copied once and laid out as pcap records.
//!
//! ```text
//! records  | header 16 | frame | header 16 | frame | …          one write() when no tag is added
//! entries  | index, time, source, offset | …                   one per record, in record order
//! ```

use std::ops::Range;

use vxscope_pcap::{CAPTURED_BYTES_MAX, Precision, classic};
use vxscope_units::{MirrorSource, Timestamp};

/// Bytes of one record's header.
pub(crate) const HEADER_BYTES: usize = 16;

/// Most bytes that VLAN tags add to a frame.
pub(crate) const TAG_BYTES_MAX: u32 = 8;

/// Longest frame that an export takes: what libpcap reads, less room for two VLAN tags. Far
/// beyond any mirrored frame; only a capture of bare frames can hold a longer one, which no
/// chunk takes ([`FrameChunk::push`] says `false` even when empty) and the caller sheds with
/// [`Shed::TooLong`](crate::Shed::TooLong).
pub const FRAME_BYTES_MAX: usize = (CAPTURED_BYTES_MAX - TAG_BYTES_MAX) as usize;

/// Size of a chunk unless the caller knows better: large enough that one write is cheap, small
/// enough that a pool of them fits beside the rings.
pub const CHUNK_BYTES: usize = 256 << 10;

/// A chunk has one index entry for so many of its bytes, the size of the shortest usual record.
/// When runts exhaust the entries, the chunk counts as full.
const BYTES_PER_ENTRY: usize = 64;

/// Frames of one worker, in input order. Allocates when made and never again.
#[derive(Debug)]
pub struct FrameChunk {
    records: Vec<u8>,
    entries: Vec<Entry>,
    through: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: u64,
    timestamp: Timestamp,
    source: MirrorSource,
    offset: u32,
    original_len: u32,
}

/// One frame of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Position of its record in the input; the order of all outputs.
    pub index: u64,
    /// Full time; the pcap header holds microseconds only.
    pub timestamp: Timestamp,
    /// Whose mirror it came from.
    pub source: MirrorSource,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Bytes on the wire, never less than captured.
    pub original_len: u32,
}

impl FrameChunk {
    /// Room for `bytes` of records, and at least for one frame of [`FRAME_BYTES_MAX`].
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        // Offsets in a chunk are of 32 bits.
        let bytes = bytes.clamp(HEADER_BYTES + FRAME_BYTES_MAX, u32::MAX as usize);
        Self {
            records: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(bytes.div_ceil(BYTES_PER_ENTRY)),
            through: None,
        }
    }

    /// A chunk without memory, which takes nothing: what is left behind when one is taken away.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            records: Vec::new(),
            entries: Vec::new(),
            through: None,
        }
    }

    /// Copies a frame in; `false` if it does not fit any more. `index` never decreases within a
    /// worker's chunks. An empty chunk refuses only frames longer than [`FRAME_BYTES_MAX`].
    #[inline]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a chunk is no larger than 4 GiB, nor is what is in it"
    )]
    pub fn push(
        &mut self,
        index: u64,
        timestamp: Timestamp,
        source: MirrorSource,
        frame: &[u8],
        original_len: u32,
    ) -> bool {
        let free = self.records.capacity().saturating_sub(self.records.len());
        let full = self.entries.len() >= self.entries.capacity();
        if full || frame.len() > FRAME_BYTES_MAX || free < HEADER_BYTES + frame.len() {
            return false;
        }
        let (offset, captured) = (self.records.len() as u32, frame.len() as u32);
        debug_assert!(self.entries.last().is_none_or(|last| last.index <= index));
        let original_len = original_len.max(captured);
        let header = classic::record_header(timestamp, captured, original_len, Precision::Micros);
        self.records.extend_from_slice(&header);
        self.records.extend_from_slice(frame);
        self.entries.push(Entry {
            index,
            timestamp,
            source,
            offset,
            original_len,
        });
        true
    }

    /// The worker will bring no further frame whose index is this or lower; `None` makes no
    /// promise.
    #[must_use]
    pub fn through(&self) -> Option<u64> {
        self.through
    }

    /// Says how far the worker has come; see [`Self::through`].
    pub fn set_through(&mut self, index: u64) {
        self.through = Some(index);
    }

    /// Frames in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets the frames, keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.entries.clear();
        self.through = None;
    }

    /// The frame at `position`, counted from the chunk's first.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<Frame<'_>> {
        let entry = self.entries.get(position)?;
        let bytes = self.records(position..position + 1).get(HEADER_BYTES..)?;
        let Entry {
            index,
            timestamp,
            source,
            original_len,
            ..
        } = *entry;
        Some(Frame {
            index,
            timestamp,
            source,
            bytes,
            original_len,
        })
    }

    /// The frames at `positions`, in order.
    pub fn frames(&self, positions: Range<usize>) -> impl Iterator<Item = Frame<'_>> {
        positions.map_while(|position| self.get(position))
    }

    /// The records at `positions` as they stand in a little-endian microsecond pcap.
    #[must_use]
    pub fn records(&self, positions: Range<usize>) -> &[u8] {
        let offset = |position: usize| {
            self.entries
                .get(position)
                .map_or(self.records.len(), |entry| entry.offset as usize)
        };
        self.records
            .get(offset(positions.start)..offset(positions.end))
            .unwrap_or_default()
    }

    /// The input index of the frame at `position`.
    pub(crate) fn index(&self, position: usize) -> Option<u64> {
        self.entries.get(position).map(|entry| entry.index)
    }

    /// The first position at or after `start` whose index is above `limit`.
    pub(crate) fn position_above(&self, start: usize, limit: u64) -> usize {
        let rest = self.entries.get(start..).unwrap_or_default();
        start + rest.partition_point(|entry| entry.index <= limit)
    }
}

impl AsRef<Self> for FrameChunk {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use vxscope_units::Timestamp;

    use super::{BYTES_PER_ENTRY, CHUNK_BYTES, FRAME_BYTES_MAX, FrameChunk};
    use crate::testing::{read_pcap, source};

    #[test]
    fn frames_come_back_as_they_went_in() {
        let mut chunk = FrameChunk::with_capacity(CHUNK_BYTES);
        assert!(chunk.push(4, Timestamp::new(1, 1_999), source(1), b"first frame", 60));
        assert!(chunk.push(9, Timestamp::new(2, 0), source(2), b"second", 3));
        let second = chunk.get(1).unwrap();
        assert_eq!(
            (second.index, second.bytes, second.original_len),
            (9, &b"second"[..], 6)
        );
        assert_eq!(
            (second.timestamp, second.source),
            (Timestamp::new(2, 0), source(2))
        );
        assert_eq!(chunk.get(0).unwrap().timestamp.as_nanos(), 1_000_001_999);
        assert_eq!(chunk.get(2), None);
        assert_eq!(chunk.frames(0..9).count(), 2);
        let read = read_pcap(chunk.records(0..2));
        assert_eq!(
            read[0],
            (Timestamp::new(1, 1_000), b"first frame".to_vec(), 60)
        );
        assert_eq!(read[1].1, b"second");
        assert_eq!(chunk.records(1..1), b"");
    }

    #[test]
    fn a_full_chunk_refuses_and_never_grows() {
        for length in [0, 14, 46, 1_400, FRAME_BYTES_MAX] {
            let mut chunk = FrameChunk::with_capacity(CHUNK_BYTES);
            let capacities = (chunk.records.capacity(), chunk.entries.capacity());
            let frame = vec![0; length];
            let mut index = 0;
            while chunk.push(index, Timestamp::ZERO, source(1), &frame, 0) {
                index += 1;
            }
            assert!(!chunk.is_empty(), "{length}");
            assert!(
                chunk.len() >= CHUNK_BYTES / (length + 16).max(BYTES_PER_ENTRY),
                "{length}"
            );
            assert_eq!(
                (chunk.records.capacity(), chunk.entries.capacity()),
                capacities
            );
            chunk.clear();
            assert!(
                chunk.push(0, Timestamp::ZERO, source(1), &frame, 0),
                "{length}"
            );
        }
    }

    #[test]
    fn an_empty_chunk_refuses_what_no_pcap_may_hold() {
        let mut chunk = FrameChunk::with_capacity(8 * CHUNK_BYTES);
        let frame = vec![0; FRAME_BYTES_MAX + 1];
        assert!(!chunk.push(0, Timestamp::ZERO, source(1), &frame, 0));
    }
}
