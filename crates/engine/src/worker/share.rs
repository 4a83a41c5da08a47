//! A worker's share of a stretch of the input, as the reader of a replay has sorted it.

use std::sync::Arc;

use arrayvec::ArrayVec;
use vxscope_capture::{Block, Record};
use vxscope_memory::{LINE, prefetch_line};
use vxscope_units::{LinkType, SourceId, Timestamp};
use vxscope_wire::PLAIN_HEADERS;

use super::open::Taken;
use super::{Frames, PASS, Worker};

/// Entries between the one that is opened and the one whose bytes are fetched.
const AHEAD: usize = 12;
/// Bytes of a record that are fetched ahead: all headers. The rest is a run that the processor's
/// own prefetcher finds.
const FETCHED: usize = 128;

/// A record that a worker has to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Where its bytes are in the block.
    pub(crate) start: usize,
    pub(crate) captured_len: u32,
    pub(crate) original_len: u32,
    pub(crate) link: LinkType,
    pub(crate) timestamp: Timestamp,
    /// The capture's clock, which every record moves.
    pub(crate) now: Timestamp,
    /// Its number among the records that have one.
    pub(crate) index: u64,
    /// Whose frame it is, if nothing is left to ask: mirrored as AWS does, of a source that all
    /// workers know by this number, and this worker's.
    pub(crate) plain: Option<SourceId>,
}

/// What one worker needs of a stretch of the input.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) block: Arc<Block>,
    /// In the order of the input.
    pub(crate) entries: Vec<Entry>,
    /// Records of the whole stretch and their bytes, for the worker that counts them.
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    /// The clock and the next record's number where the stretch ends.
    pub(crate) now: Timestamp,
    pub(crate) next_index: u64,
}

impl Worker {
    /// Handles its share of a stretch, as if it had walked all of it.
    pub(crate) fn handle_share(&mut self, share: &Share) {
        if self.role.counts_input {
            self.ledger
                .receive_many(share.received, share.received_bytes);
        }
        let bytes: &[u8] = (*share.block).as_ref();
        let is_ethernet = |entry: &Entry| entry.link == LinkType::Ethernet;
        if self.role.bare && !share.entries.iter().all(is_ethernet) {
            for entry in &share.entries {
                self.resume(entry.index, entry.now);
                self.handle_reframed(&record(bytes, entry));
            }
        } else {
            let mut ahead = share.entries.iter().skip(AHEAD);
            for pass in share.entries.chunks(PASS) {
                let (mut frames, mut ticks) = (Frames::new(), ArrayVec::new());
                for entry in pass {
                    if let Some(later) = ahead.next() {
                        for offset in (0..FETCHED).step_by(LINE) {
                            prefetch_line(bytes, later.start + offset);
                        }
                    }
                    self.resume(entry.index, entry.now);
                    let record = record(bytes, entry);
                    match taken(&record, entry.plain) {
                        Some(taken) => self.take(record.timestamp, &taken, &mut frames, &mut ticks),
                        None => self.handle_record(&record, &mut frames, &mut ticks),
                    }
                }
                self.touch(&frames, &ticks);
            }
        }
        self.resume(share.next_index, share.now);
        self.touch(&Frames::new(), &ArrayVec::new());
    }

    /// Says how far it is.
    pub(crate) fn report(&mut self) {
        self.outlet.report();
    }

    /// Moves the clock over records that were other workers'.
    fn resume(&mut self, index: u64, now: Timestamp) {
        (self.clock.next_index, self.clock.now) = (index, now);
    }
}

#[inline]
fn record<'a>(bytes: &'a [u8], entry: &Entry) -> Record<'a> {
    let end = entry.start.saturating_add(entry.captured_len as usize);
    Record {
        timestamp: entry.timestamp,
        link: entry.link,
        data: bytes.get(entry.start..end).unwrap_or_default(),
        original_len: entry.original_len,
        interface: 0,
    }
}

#[inline]
fn taken<'a>(record: &Record<'a>, plain: Option<SourceId>) -> Option<Taken<'a>> {
    let frame = record.data.get(PLAIN_HEADERS..)?;
    Some(Taken::own(frame, plain?))
}
