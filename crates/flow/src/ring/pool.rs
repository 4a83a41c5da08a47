//! A fixed pool of private rings: where a flow goes that has outgrown the shared logs.

use std::collections::VecDeque;
use std::io;

use vxscope_memory::{LINE, Slab, prefetch_line};
use vxscope_units::SourceId;

use super::record::{self, ALIGN, HEADER, Header};

/// A ring of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingId(u32);

impl RingId {
    /// As stored in a flow: 0 means none.
    pub(super) const fn bits(ring: Option<Self>) -> u32 {
        match ring {
            Some(Self(number)) => number + 1,
            None => 0,
        }
    }

    pub(super) const fn from_bits(bits: u32) -> Option<Self> {
        match bits.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

/// Why a flow gets no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRing {
    /// All rings belong to live flows.
    Empty,
    /// The source holds half of the rings and is not alone.
    Share,
}

/// Positions count up for ever; the place is the position modulo the ring's length.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    flow_id: u64,
    source: SourceId,
    live: bool,
    oldest: u64,
    write: u64,
}

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    slab: Slab,
    ring_len: usize,
    rings: Vec<Ring>,
    /// Rings without a live flow, longest unused first: a closed flow keeps its frames until
    /// somebody needs the ring.
    idle: VecDeque<RingId>,
    held: Vec<u32>,
    live: u32,
}

impl Pool {
    pub(super) fn try_new(bytes: usize, ring_len: usize, sources_max: usize) -> io::Result<Self> {
        let ring_len = ring_len / ALIGN * ALIGN;
        let count = bytes.checked_div(ring_len).unwrap_or(0);
        let numbers = 0..u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Self {
            slab: Slab::try_new(ring_len * count)?,
            ring_len,
            rings: vec![Ring::default(); count],
            idle: numbers.map(RingId).collect(),
            held: vec![0; sources_max.saturating_add(1)],
            live: 0,
        })
    }

    pub(super) fn prefault(&mut self) {
        self.slab.prefault();
    }

    /// The longest record that fits.
    pub(super) fn record_max(&self) -> usize {
        self.ring_len
    }

    /// Bytes that records take, of flows that ended as well.
    pub(super) fn used(&self) -> u64 {
        self.rings.iter().map(|ring| ring.write - ring.oldest).sum()
    }

    /// Bytes that there are for records.
    pub(super) fn size(&self) -> usize {
        self.ring_len * self.rings.len()
    }

    /// Gives a ring to a flow. A source holds at most half of the rings while others hold any.
    pub(super) fn take(&mut self, flow_id: u64, source: SourceId) -> Result<RingId, NoRing> {
        let held = self.held.get(source.index()).copied().unwrap_or(0);
        if self.live > held && held as usize >= (self.rings.len() / 2).max(1) {
            return Err(NoRing::Share);
        }
        let id = self.idle.pop_front().ok_or(NoRing::Empty)?;
        let ring = self.rings.get_mut(id.0 as usize).ok_or(NoRing::Empty)?;
        *ring = Ring {
            flow_id,
            source,
            live: true,
            oldest: 0,
            write: 0,
        };
        self.live += 1;
        if let Some(held) = self.held.get_mut(source.index()) {
            *held += 1;
        }
        Ok(id)
    }

    /// The flow is closed; its frames stay until the ring is needed.
    pub(super) fn release(&mut self, id: RingId) {
        let Some(ring) = self.rings.get_mut(id.0 as usize) else {
            return;
        };
        if !std::mem::replace(&mut ring.live, false) {
            return;
        }
        self.live = self.live.saturating_sub(1);
        if let Some(held) = self.held.get_mut(ring.source.index()) {
            *held = held.saturating_sub(1);
        }
        self.idle.push_back(id);
    }

    /// Appends a record, overwriting the ring's oldest ones; `false` if it is longer than a ring.
    #[inline]
    pub(super) fn append(&mut self, id: RingId, header: &Header, frame: &[u8]) -> bool {
        let size = record::size_of_record(frame.len());
        let Some(ring) = self.rings.get_mut(id.0 as usize) else {
            return false;
        };
        if size > self.ring_len {
            return false;
        }
        let start = id.0 as usize * self.ring_len;
        let Some(bytes) = self.slab.get_mut(start..start + self.ring_len) else {
            return false;
        };
        let (size, length) = (size as u64, self.ring_len as u64);
        let place = ring.write % length;
        let skip = if place + size > length {
            length - place
        } else {
            0
        };
        let end = ring.write + skip + size;
        while ring.oldest < ring.write && end - ring.oldest > length {
            ring.oldest = after(bytes, ring.oldest, length);
        }
        if skip > 0 {
            close_turn(bytes, place);
        }
        if ring.oldest == ring.write {
            ring.oldest += skip;
        }
        ring.write += skip;
        let place = index(ring.write % length);
        ring.write = end;
        bytes
            .get_mut(place..)
            .and_then(|place| record::write(place, header, frame))
            .is_some()
    }

    /// Starts fetching what the next [`Self::append`] touches: the header of the record that has to go,
    /// which nobody has looked at for a whole turn of the ring, and the place of the new one.
    #[inline(never)]
    pub(super) fn prefetch(&self, id: RingId) {
        let Some(ring) = self.rings.get(id.0 as usize) else {
            return;
        };
        let (start, length) = (id.0 as usize * self.ring_len, self.ring_len as u64);
        let place = start + index(ring.write % length);
        for offset in [start + index(ring.oldest % length), place, place + LINE] {
            prefetch_line(&self.slab, offset);
        }
    }

    /// Positions of the oldest record and behind the newest, if the ring is still that of
    /// `flow_id`.
    pub(super) fn bounds(&self, id: RingId, flow_id: u64) -> Option<(u64, u64)> {
        let ring = self.rings.get(id.0 as usize)?;
        (ring.flow_id == flow_id).then_some((ring.oldest, ring.write))
    }

    /// The position behind the one at `at`, which is within the ring's bounds, and the record
    /// there, if there is one.
    pub(super) fn read(&self, id: RingId, at: u64) -> (u64, Option<(Header, &[u8])>) {
        let start = id.0 as usize * self.ring_len;
        let length = self.ring_len as u64;
        let Some(bytes) = self.slab.get(start..start + self.ring_len) else {
            return (u64::MAX, None);
        };
        let found = bytes.get(index(at % length)..).and_then(record::read);
        let found = found.filter(|(header, _)| header.flow_id != TURN);
        (after(bytes, at, length), found)
    }
}

/// Flow id of the mark that says: the rest of the ring is unused in this turn.
const TURN: u64 = (1 << 62) - 1;

/// Marks the rest of the ring as unused.
fn close_turn(bytes: &mut [u8], place: u64) {
    let mark = Header {
        before: 0,
        flow_id: TURN,
        captured: 0,
        original: 0,
        timestamp: vxscope_units::Timestamp::ZERO,
        reverse: false,
    };
    if let Some(rest) = bytes.get_mut(index(place)..) {
        // Where not even a header fits, that says it already.
        let _ = record::write(rest, &mark, &[]);
    }
}

/// The position of the record after the one at `at`.
fn after(bytes: &[u8], at: u64, length: u64) -> u64 {
    let place = at % length;
    let rest = length - place;
    match bytes.get(index(place)..).and_then(record::read) {
        Some((header, frame)) if rest >= HEADER as u64 && header.flow_id != TURN => {
            at + (record::size_of_record(frame.len()) as u64).min(rest)
        }
        _ => at + rest,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a place within the ring, which is in memory"
)]
fn index(place: u64) -> usize {
    place as usize
}
