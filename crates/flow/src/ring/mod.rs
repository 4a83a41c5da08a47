//! Per-flow packet rings, as three stores that write sequentially.
//!
//! A flow's first `head` bytes go to the *head log*, its next `tail` bytes to the *tail log*,
//! and what follows to a *private ring* of its own, so an elephant never writes the shared logs.
//! Each record of a log names the flow's previous one in that log, newest to oldest:
//!
//! ```text
//! flow ──newest[head]──> record ──before──> record ──before──> …     head log, kept long
//!      ──newest[tail]──> record ──before──> …                        tail log
//!      ──private───────> oldest … newest                             a ring of its own
//! ```

mod log;
mod pool;
mod record;

use std::io;

use vxscope_units::{SourceId, Timestamp};

use log::{Log, Position};
use pool::{NoRing, Pool, RingId};
use record::Header;

/// The log of the flows' first bytes, in [`Rings::logs`].
const HEAD: usize = 0;
/// The log of what follows them.
const TAIL: usize = 1;

vxscope_units::reasons! {
    /// Why a decapsulated frame is not in any ring.
    pub enum Unstored {
        /// It belongs to no flow.
        Untracked = "untracked",
        /// Rings are switched off.
        Disabled = "disabled",
        /// The flow has outgrown the shared logs and every private ring is taken.
        PoolEmpty = "pool_empty",
        /// The source holds half of the private rings and is not the only one.
        SourceShare = "source_share",
        /// Longer than a segment of the log or a private ring.
        TooLarge = "too_large",
    }
}

/// Sizes of one worker's stores, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct RingSizes {
    /// Bytes of the head log.
    pub head_log: usize,
    /// Bytes of the tail log.
    pub tail_log: usize,
    /// Bytes of the pool of private rings.
    pub pool: usize,
    /// Stored bytes of a flow that go to the head log.
    pub head: u32,
    /// Stored bytes after those that go to the tail log.
    pub tail: u32,
    /// Bytes of one private ring.
    pub private: usize,
}

/// What a flow remembers of its stored frames.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RingState {
    /// The newest record in the head and the tail log; 0: none.
    newest: [u64; 2],
    /// Bytes of records in the logs.
    logged: u32,
    /// The private ring; 0: none.
    private: u32,
}

/// A frame as it comes back out of the rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredFrame<'a> {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// The bytes that were captured.
    pub frame: &'a [u8],
    /// Bytes on the wire.
    pub original_len: u32,
    /// From responder to originator.
    pub reverse: bool,
}

/// One worker's rings.
#[derive(Debug)]
pub(crate) struct Rings {
    logs: [Log; 2],
    pool: Pool,
    sizes: RingSizes,
    /// Bytes of a flow's records after which it leaves the logs.
    logged_max: u32,
}

/// A frame to store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFrame<'a> {
    pub(crate) flow_id: u64,
    pub(crate) source: SourceId,
    pub(crate) timestamp: Timestamp,
    pub(crate) frame: &'a [u8],
    pub(crate) original_len: u32,
    pub(crate) reverse: bool,
}

impl NewFrame<'_> {
    /// The header of its record, after which the flow's record at `before` is the next older one.
    #[inline(always)]
    fn header(&self, before: u64) -> Header {
        Header {
            before,
            flow_id: self.flow_id,
            // No frame is longer than a capture's record or a datagram.
            captured: u32::try_from(self.frame.len()).unwrap_or(u32::MAX),
            original: self.original_len,
            timestamp: self.timestamp,
            reverse: self.reverse,
        }
    }
}

impl Rings {
    pub(crate) fn try_new(sizes: RingSizes, sources_max: usize) -> io::Result<Self> {
        Ok(Self {
            logs: [
                Log::try_new(sizes.head_log, sources_max)?,
                Log::try_new(sizes.tail_log, sources_max)?,
            ],
            pool: Pool::try_new(sizes.pool, sizes.private, sources_max)?,
            sizes,
            logged_max: sizes.head.saturating_add(sizes.tail),
        })
    }

    pub(crate) fn prefault(&mut self) {
        self.logs.iter_mut().for_each(Log::prefault);
        self.pool.prefault();
    }

    /// Stores a frame of a flow, or says why not.
    #[inline(always)]
    pub(crate) fn store(
        &mut self,
        state: &mut RingState,
        new: &NewFrame<'_>,
    ) -> Result<(), Unstored> {
        if state.private != 0 || state.logged >= self.logged_max {
            return self.store_in_ring(state, new);
        }
        let which = usize::from(state.logged >= self.sizes.head);
        let (log, newest) = (&mut self.logs[which], &mut state.newest[which]);
        let size = record::size_of_record(new.frame.len());
        let header = new.header(*newest);
        match log.append(new.source, &header, new.frame, size) {
            Some(position) => *newest = position.bits(),
            None => return Err(Unstored::TooLarge),
        }
        // A record that fits a segment is far below 4 GiB.
        state.logged = state
            .logged
            .saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
        Ok(())
    }

    #[inline(never)]
    fn store_in_ring(&mut self, state: &mut RingState, new: &NewFrame<'_>) -> Result<(), Unstored> {
        if record::size_of_record(new.frame.len()) > self.pool.record_max() {
            return Err(Unstored::TooLarge);
        }
        let ring = match RingId::from_bits(state.private) {
            Some(ring) => ring,
            None => self
                .pool
                .take(new.flow_id, new.source)
                .map_err(|reason| match reason {
                    NoRing::Empty => Unstored::PoolEmpty,
                    NoRing::Share => Unstored::SourceShare,
                })?,
        };
        state.private = RingId::bits(Some(ring));
        if self.pool.append(ring, &new.header(0), new.frame) {
            Ok(())
        } else {
            Err(Unstored::TooLarge)
        }
    }

    /// The flow is closed: its private ring may be given away when it is needed.
    pub(crate) fn release(&mut self, state: &RingState) {
        if let Some(ring) = RingId::from_bits(state.private) {
            self.pool.release(ring);
        }
    }

    /// Visits what is left of a flow's frames, oldest first; `found` is scratch for positions.
    pub(crate) fn visit(
        &self,
        state: &RingState,
        flow_id: u64,
        found: &mut Vec<u64>,
        visit: &mut dyn FnMut(StoredFrame<'_>),
    ) {
        // A flow has no more records in the logs than headers fit into what it may write there.
        let records_max = self.logged_max as usize / record::HEADER + 2;
        for (log, newest) in self.logs.iter().zip(state.newest) {
            found.clear();
            let read = |bits| Position::from_bits(bits).and_then(|at| log.read(at, flow_id));
            let mut next = newest;
            while let Some((header, _)) = read(next)
                && found.len() < records_max
            {
                found.push(next);
                next = header.before;
            }
            for (header, frame) in found.iter().rev().filter_map(|bits| read(*bits)) {
                visit(stored(&header, frame));
            }
        }
        if let Some(ring) = RingId::from_bits(state.private) {
            self.pool.visit(ring, flow_id, &mut |header, frame| {
                visit(stored(header, frame))
            });
        }
    }

    /// Times of the oldest frames in the head and the tail log: how far one can look back.
    pub(crate) fn oldest(&self) -> [Option<Timestamp>; 2] {
        [self.logs[HEAD].oldest(), self.logs[TAIL].oldest()]
    }
}

fn stored<'a>(header: &Header, frame: &'a [u8]) -> StoredFrame<'a> {
    StoredFrame {
        timestamp: header.timestamp,
        frame,
        original_len: header.original,
        reverse: header.reverse,
    }
}

#[cfg(test)]
mod tests;
