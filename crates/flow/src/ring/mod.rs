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

/// How full one store is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFill {
    /// Taken by records.
    pub used: u64,
    /// There for records.
    pub size: u64,
}

/// How full the stores of one worker's rings are. A store that was full once stays nearly so: the
/// newest records take the place of the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFill {
    /// The head log.
    pub head: StoreFill,
    /// The tail log.
    pub tail: StoreFill,
    /// The private rings.
    pub private: StoreFill,
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

/// What looking at a record costs that is not copied, in bytes of work: a cache miss.
const WALK_COST: usize = 64;

/// One flow's packets on their way out of the rings; see [`Rings::reader`].
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    state: RingState,
    flow_id: u64,
    /// Positions in the log that is being read, newest first.
    found: Vec<u64>,
    stage: Stage,
    /// Positions of the private ring that are not visited yet.
    ring: std::ops::Range<u64>,
}

/// A log is walked back to its oldest record of the flow, then copied; the private ring last.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Walk { log: usize, next: u64 },
    Copy { log: usize },
    Ring,
    End,
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
            captured: small(self.frame.len()),
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
        // A flow with a ring of its own has outgrown the logs.
        if state.logged >= self.logged_max {
            // A copy, so that other frames need not be in memory for this call.
            let copy = *new;
            return self.store_in_ring(state, &copy);
        }
        let which = usize::from(state.logged >= self.sizes.head);
        let (log, newest) = (&mut self.logs[which], &mut state.newest[which]);
        let size = record::size_of_record(new.frame.len());
        let header = new.header(*newest);
        match log.append(new.source, &header, new.frame, size) {
            Some(position) => *newest = position.bits(),
            None => return Err(Unstored::TooLarge),
        }
        // It was below the limit before.
        state.logged = state.logged.saturating_add(small(size));
        Ok(())
    }

    /// Starts fetching where the flow's next frame will be stored, if it has a ring of its own: the
    /// logs are written in order, which the processor finds out by itself.
    #[inline]
    pub(crate) fn prefetch(&self, state: &RingState) {
        if let Some(ring) = RingId::from_bits(state.private) {
            self.pool.prefetch(ring);
        }
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

    /// Begins to read what is stored of a flow now; packets that come later are not part of it.
    pub(crate) fn reader(&self, state: &RingState, flow_id: u64) -> Reader {
        let bounds =
            RingId::from_bits(state.private).and_then(|ring| self.pool.bounds(ring, flow_id));
        let (oldest, end) = bounds.unwrap_or_default();
        Reader {
            state: *state,
            flow_id,
            found: Vec::new(),
            stage: Stage::Walk {
                log: HEAD,
                next: state.newest[HEAD],
            },
            ring: oldest..end,
        }
    }

    /// Visits further frames of a reader, oldest first, for about `budget` bytes of work; whether
    /// there may be more. What was overwritten meanwhile is left out.
    pub(crate) fn read(
        &self,
        reader: &mut Reader,
        budget: usize,
        visit: &mut dyn FnMut(StoredFrame<'_>),
    ) -> bool {
        let mut left = budget.max(1);
        while left > 0 {
            let cost = match reader.stage {
                Stage::Walk { log, next } => self.walk(reader, log, next),
                Stage::Copy { log } => self.copy(reader, log, visit),
                Stage::Ring => self.copy_ring(reader, visit),
                Stage::End => return false,
            };
            left = left.saturating_sub(cost);
        }
        !matches!(reader.stage, Stage::End)
    }

    /// One record further back in a log.
    fn walk(&self, reader: &mut Reader, log: usize, next: u64) -> usize {
        // A flow has no more records in the logs than headers fit into what it may write there.
        let records_max = self.logged_max as usize / record::HEADER + 2;
        let found = Position::from_bits(next)
            .filter(|_| reader.found.len() < records_max)
            .and_then(|at| self.logs[log].read(at, reader.flow_id));
        reader.stage = match found {
            Some((header, _)) => {
                reader.found.push(next);
                Stage::Walk {
                    log,
                    next: header.before,
                }
            }
            None => Stage::Copy { log },
        };
        WALK_COST
    }

    /// The oldest record of a log that was not visited yet.
    fn copy(
        &self,
        reader: &mut Reader,
        log: usize,
        visit: &mut dyn FnMut(StoredFrame<'_>),
    ) -> usize {
        let Some(bits) = reader.found.pop() else {
            reader.stage = match log {
                HEAD => Stage::Walk {
                    log: TAIL,
                    next: reader.state.newest[TAIL],
                },
                _ => Stage::Ring,
            };
            return 1;
        };
        let at = Position::from_bits(bits);
        let Some((header, frame)) = at.and_then(|at| self.logs[log].read(at, reader.flow_id))
        else {
            return WALK_COST;
        };
        visit(stored(&header, frame));
        record::size_of_record(frame.len())
    }

    /// The next record of the private ring.
    fn copy_ring(&self, reader: &mut Reader, visit: &mut dyn FnMut(StoredFrame<'_>)) -> usize {
        let ring = RingId::from_bits(reader.state.private);
        let bounds = ring.and_then(|ring| Some((ring, self.pool.bounds(ring, reader.flow_id)?)));
        let Some((ring, (oldest, _))) = bounds else {
            reader.stage = Stage::End;
            return 1;
        };
        let at = reader.ring.start.max(oldest);
        if at >= reader.ring.end {
            reader.stage = Stage::End;
            return 1;
        }
        let (next, found) = self.pool.read(ring, at);
        reader.ring.start = next;
        let Some((header, frame)) = found else {
            return WALK_COST;
        };
        visit(stored(&header, frame));
        record::size_of_record(frame.len())
    }

    /// How full the stores are.
    pub(crate) fn fill(&self) -> RingFill {
        let log = |log: usize| StoreFill {
            used: self.logs[log].used() as u64,
            size: self.logs[log].size() as u64,
        };
        RingFill {
            head: log(HEAD),
            tail: log(TAIL),
            private: StoreFill {
                used: self.pool.used(),
                size: self.pool.size() as u64,
            },
        }
    }

    /// Times of the oldest frames in the head and the tail log: how far one can look back.
    pub(crate) fn oldest(&self) -> [Option<Timestamp>; 2] {
        [self.logs[HEAD].oldest(), self.logs[TAIL].oldest()]
    }
}

/// A length of a frame or a record, as headers and counters have it: far below 4 GiB.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn small(length: usize) -> u32 {
    length as u32
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
