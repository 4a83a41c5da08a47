//! Cuts a stream into blocks at record boundaries.

use std::io::{self, Read};
use std::mem;

use vxscope_pcap::{Reader, Step};

use crate::block::{Block, Bytes};

/// Length of a streamed block; a record or pcapng block longer than that gets a block of its own.
///
/// Bounds what one block holds in memory (how many are under way is the caller's). A pipe hands
/// over 64 KiB at a time, so this amortizes the hand-over to the workers well.
pub const BLOCK_BYTES: usize = 1 << 20;

/// A stream that is being cut.
pub(crate) struct Stream {
    reader: Box<dyn Read + Send>,
    /// Walks the records to find where to cut; its offset is the end of the last whole one.
    cutter: Reader,
    /// The beginning of a record whose end has not arrived.
    carry: Vec<u8>,
    block_bytes: usize,
    received: u64,
    state: State,
}

enum State {
    Open,
    /// Reading failed; whole records that arrived before have been handed over.
    Failed(io::Error),
    Ended,
}

impl Stream {
    pub(crate) fn new(reader: Box<dyn Read + Send>, block_bytes: usize) -> Self {
        Self {
            reader,
            cutter: Reader::new(),
            carry: Vec::new(),
            block_bytes,
            received: 0,
            state: State::Open,
        }
    }

    /// Bytes that arrived.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn next_block(&mut self) -> io::Result<Option<Block>> {
        match mem::replace(&mut self.state, State::Ended) {
            State::Open => self.state = State::Open,
            State::Failed(error) => return Err(error),
            State::Ended => return Ok(None),
        }
        let offset = self.cutter.offset();
        let mut bytes = mem::take(&mut self.carry);
        bytes.reserve(self.block_bytes.saturating_sub(bytes.len()));
        let mut wanted = self.block_bytes;
        let mut cut = 0;
        loop {
            let more = self.receive(&mut bytes, wanted);
            let Ok(needed) = self.cut(&bytes, &mut cut) else {
                // The walker finds the same malformed record and says what is wrong with it.
                self.state = State::Ended;
                return Ok(Some(Block::new(Bytes::Buffer(bytes), offset, true)));
            };
            match more {
                Ok(true) if cut == 0 => wanted = needed,
                Ok(true) => {
                    self.carry = Vec::with_capacity(self.block_bytes);
                    self.carry
                        .extend_from_slice(bytes.get(cut..).unwrap_or_default());
                    bytes.truncate(cut);
                    return Ok(Some(Block::new(Bytes::Buffer(bytes), offset, false)));
                }
                Ok(false) => {
                    self.state = State::Ended;
                    return Ok(Some(Block::new(Bytes::Buffer(bytes), offset, true)));
                }
                Err(error) if cut == 0 => {
                    self.state = State::Ended;
                    return Err(error);
                }
                Err(error) => {
                    self.state = State::Failed(error);
                    bytes.truncate(cut);
                    return Ok(Some(Block::new(Bytes::Buffer(bytes), offset, false)));
                }
            }
        }
    }

    /// Reads until `bytes` has the `wanted` length; `false` if the stream ends before.
    fn receive(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
        let before = bytes.len();
        let missing = wanted.saturating_sub(before) as u64;
        let result = (&mut self.reader).take(missing).read_to_end(bytes);
        // What arrived before an error is in `bytes` as well.
        let arrived = bytes.len().saturating_sub(before) as u64;
        self.received = self.received.saturating_add(arrived);
        result.map(|_| arrived == missing)
    }

    /// Moves `cut` behind the last whole record; returns the bytes from `cut` on that the next
    /// record takes, as far as that is known. Fails at a malformed record.
    fn cut(&mut self, bytes: &[u8], cut: &mut usize) -> Result<usize, vxscope_pcap::PcapError> {
        loop {
            match self.cutter.read(bytes.get(*cut..).unwrap_or_default())? {
                Step::Record { consumed, .. } | Step::Skip { consumed } => *cut += consumed,
                Step::NeedMore { needed } => return Ok(needed),
            }
        }
    }
}
