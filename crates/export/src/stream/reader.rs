//! One reader of a stream: its queue, and what became of what it was offered.
//!
//! ```text
//! bytes  | sent … | not sent yet …        |      at most `room` bytes wait
//! runs   |  end, frames | end, frames | … |      a run counts once its last byte is sent
//! ```

use std::collections::VecDeque;
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
    runs: VecDeque<Run>,
    room: usize,
    /// It took nothing when it was last waited for.
    stalls: bool,
    count: SinkCount,
}

/// Frames whose last byte is at `end` in [`Reader::bytes`].
#[derive(Clone, Copy, Debug)]
struct Run {
    end: usize,
    frames: u64,
}

impl Reader {
    /// A new reader; `room` bytes may wait for it.
    pub(super) fn new(name: String, connection: Connection, room: usize) -> Self {
        Self {
            name,
            connection,
            bytes: file_header().to_vec(),
            sent: 0,
            runs: VecDeque::new(),
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
        while !self.push(records, frames) {
            // A record that is longer than the room would be waited for in vain.
            let may_wait = haste == Haste::Finite && self.waiting() > 0;
            self.flush(may_wait)?;
            if !may_wait {
                let taken = self.push(records, frames);
                if !taken {
                    self.count.add_shed(Shed::ReaderBehind, frames);
                }
                return Ok(taken);
            }
        }
        Ok(true)
    }

    /// Queues whole records; `false` if there is no room for all of them.
    fn push(&mut self, records: &[u8], frames: u64) -> bool {
        if self.waiting() + records.len() > self.room {
            return false;
        }
        if self.sent > self.room {
            self.forget_sent();
        }
        self.bytes.extend_from_slice(records);
        self.runs.push_back(Run {
            end: self.bytes.len(),
            frames,
        });
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
        while let Some(run) = self.runs.front().filter(|run| run.end <= self.sent) {
            self.count.add_written(run.frames);
            self.runs.pop_front();
        }
        if self.sent == self.bytes.len() {
            self.forget_sent();
        }
    }

    fn forget_sent(&mut self) {
        self.bytes.drain(..self.sent);
        for run in &mut self.runs {
            run.end -= self.sent;
        }
        self.sent = 0;
    }

    /// No more is sent: its ledger, in which what still waits is shed, and how much that is.
    pub(super) fn end(mut self) -> (ReaderCount, u64) {
        self.count_sent();
        let left = self.runs.iter().map(|run| run.frames).sum();
        self.count.add_shed(Shed::ReaderGone, left);
        let (name, count) = (self.name, self.count);
        (ReaderCount { name, count }, left)
    }
}
