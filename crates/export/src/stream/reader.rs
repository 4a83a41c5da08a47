//! One reader of a stream: its queue, and what became of what it was offered.
//!
//! ```text
//! bytes    | sent …         | not sent yet … |   at most `room` bytes wait
//! records  |  whole  |  whole  |  whole  | … |   one counts once its last byte is sent
//! ```

use std::io;

use super::connection::Connection;
use super::{Haste, ReaderCount};
use crate::decap::file_header;
use crate::sink::{Shed, SinkCount};

/// How long one attempt to write may wait for room, in milliseconds.
const PATIENCE_MILLIS: u16 = 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    connection: Connection,
    bytes: Vec<u8>,
    sent: usize,
    /// Where the first record begins that is not counted yet.
    counted: usize,
    room: usize,
    /// It took nothing when it was last waited for.
    stalls: bool,
    count: SinkCount,
}

impl Reader {
    /// A new reader; `room` bytes may wait for it.
    pub(super) fn new(name: String, connection: Connection, room: usize) -> Self {
        Self {
            name,
            connection,
            bytes: file_header().to_vec(),
            sent: 0,
            counted: file_header().len(),
            room,
            stalls: false,
            count: SinkCount::default(),
        }
    }

    /// Queues whole records for the reader; of a finite input it is waited for until it has room.
    /// Whether it took them: if not, they are counted.
    ///
    /// # Errors
    /// The reader is gone.
    pub(super) fn offer(&mut self, records: &[u8], frames: u64, haste: Haste) -> io::Result<bool> {
        while !self.push(records) {
            // A record that is longer than the room would be waited for in vain.
            let may_wait = haste == Haste::Finite && self.waiting() > 0;
            self.flush(may_wait)?;
            if !may_wait {
                let taken = self.push(records);
                if !taken {
                    self.count.add_shed(Shed::ReaderBehind, frames);
                }
                return Ok(taken);
            }
        }
        Ok(true)
    }

    /// Queues whole records; `false` if there is no room for all of them.
    fn push(&mut self, records: &[u8]) -> bool {
        if self.waiting() + records.len() > self.room {
            return false;
        }
        if self.counted > self.room {
            self.forget_counted();
        }
        self.bytes.extend_from_slice(records);
        true
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether half of the room is taken, and it is worth a moment to wait for more: one that
    /// took nothing before is waited for again once it takes something.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting() > self.room / 2 && !self.stalls
    }

    /// Sends what the other side takes; with `patient` it may be waited for, a moment.
    ///
    /// # Errors
    /// The reader is gone.
    pub(super) fn flush(&mut self, patient: bool) -> io::Result<()> {
        let mut patience = if patient { PATIENCE_MILLIS } else { 0 };
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.connection.write_some(rest, patience)? {
                0 => {
                    // Only the first attempt waited.
                    self.stalls |= patience > 0;
                    break;
                }
                written => self.sent += written,
            }
            self.stalls = false;
            patience = 0;
        }
        self.count_sent();
        Ok(())
    }

    fn count_sent(&mut self) {
        let sent = self.bytes.get(self.counted..self.sent).unwrap_or_default();
        let (frames, length) = whole_records(sent);
        self.count.add_written(frames);
        self.counted += length;
        if self.sent == self.bytes.len() {
            self.forget_counted();
        }
    }

    fn forget_counted(&mut self) {
        // The file header is no record: at first it is not even sent.
        let over = self.counted.min(self.sent);
        self.bytes.drain(..over);
        self.sent -= over;
        self.counted -= over;
    }

    /// No more is sent: its ledger, in which what still waits is shed, and how much that is.
    pub(super) fn end(mut self) -> (ReaderCount, u64) {
        self.count_sent();
        let (left, _) = whole_records(self.bytes.get(self.counted..).unwrap_or_default());
        self.count.add_shed(Shed::ReaderGone, left);
        let (name, count) = (self.name, self.count);
        (ReaderCount { name, count }, left)
    }
}

/// How many whole records are at the beginning, and how long they are together.
fn whole_records(bytes: &[u8]) -> (u64, usize) {
    let (mut frames, mut length) = (0, 0);
    while let Some(next) = bytes.get(length..).and_then(record_len) {
        frames += 1;
        length += next;
    }
    (frames, length)
}

/// The length of the first record, as [`vxscope_pcap::classic::record_header`] begins it, if all of
/// it is there.
fn record_len(bytes: &[u8]) -> Option<usize> {
    let &[_, _, _, _, _, _, _, _, c0, c1, c2, c3, _, _, _, _] = bytes.first_chunk()?;
    let captured = usize::try_from(u32::from_le_bytes([c0, c1, c2, c3])).ok()?;
    let length = captured + 16;
    (bytes.len() >= length).then_some(length)
}
