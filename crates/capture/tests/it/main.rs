//! Files and streams through walks: the same records, however the bytes arrive.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod corpus;
mod end;
mod stream;

use std::io::{self, Read};

use vxscope_capture::{BATCH_RECORDS, Batch, CaptureError, Input};
use vxscope_pcap::{Precision, classic};
use vxscope_units::{LinkType, Timestamp};

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    timestamp: Timestamp,
    link: LinkType,
    data: Vec<u8>,
    original_len: u32,
    interface: u32,
}

/// What a walk through an input gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) records: Vec<Owned>,
    pub(crate) walked: u64,
    /// The error's offset and text.
    pub(crate) error: Option<(u64, String)>,
    pub(crate) blocks: usize,
}

/// Walks an input in batches, and beside it with the iterator, which must agree.
pub(crate) fn walk_all(mut input: Input) -> Outcome {
    let (mut walk, mut second) = (input.walk(), input.walk());
    let mut outcome = Outcome {
        records: Vec::new(),
        walked: 0,
        error: None,
        blocks: 0,
    };
    let fail = |error: CaptureError| Some((error.offset(), error.to_string()));
    let mut last_seen = false;
    'input: loop {
        let block = match input.next_block() {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(error) => {
                outcome.error = fail(error);
                assert!(
                    input.next_block().unwrap().is_none(),
                    "the failure is told once"
                );
                last_seen = true;
                break;
            }
        };
        assert!(!last_seen, "nothing follows the last block");
        last_seen = block.is_last();
        outcome.blocks += 1;
        let mut one_by_one = second.records(&block);
        let mut batch = Batch::new();
        loop {
            match walk.fill(&block, &mut batch) {
                Ok(0) => break,
                Ok(count) => {
                    assert_eq!((count, batch.len()), (batch.records().len(), count));
                    assert!(count <= BATCH_RECORDS);
                    assert_eq!(batch.first_index(), outcome.records.len() as u64);
                    for record in batch.records() {
                        assert_eq!(one_by_one.next().unwrap().unwrap(), *record);
                        outcome.records.push(Owned {
                            timestamp: record.timestamp,
                            link: record.link,
                            data: record.data.to_vec(),
                            original_len: record.original_len,
                            interface: record.interface,
                        });
                    }
                }
                Err(error) => {
                    let again = walk.fill(&block, &mut batch).unwrap_err();
                    assert_eq!(again.to_string(), error.to_string());
                    let same = one_by_one.next().unwrap().unwrap_err();
                    assert_eq!(same.to_string(), error.to_string());
                    outcome.error = fail(error);
                    break 'input;
                }
            }
        }
        assert!(one_by_one.next().is_none());
        let end = block.offset() + (*block).as_ref().len() as u64;
        assert_eq!(walk.offset(), end, "a block ends where a record does");
    }
    assert!(last_seen, "every input has a last block or an error");
    assert_eq!(walk.records_walked(), outcome.records.len() as u64);
    outcome.walked = walk.offset();
    outcome
}

/// A pcap file with one record for each length.
pub(crate) fn pcap(lengths: &[usize]) -> Vec<u8> {
    let mut file = classic::file_header(Precision::Nanos, LinkType::Ethernet, 262_144).to_vec();
    for (number, length) in (0u32..).zip(lengths) {
        let captured = u32::try_from(*length).unwrap();
        let timestamp = Timestamp::new(u64::from(number), 0);
        file.extend(classic::record_header(
            timestamp,
            captured,
            captured,
            Precision::Nanos,
        ));
        file.extend((0..=u8::MAX).cycle().take(*length));
    }
    file
}

/// Gives bytes in pieces of the given sizes, over and over, as a pipe does; then ends or fails.
pub(crate) struct Chunky {
    bytes: io::Cursor<Vec<u8>>,
    sizes: Vec<usize>,
    turn: usize,
    failure: Option<io::ErrorKind>,
}

impl Chunky {
    pub(crate) fn new(bytes: &[u8], sizes: &[usize]) -> Self {
        let (bytes, sizes) = (io::Cursor::new(bytes.to_vec()), sizes.to_vec());
        Self {
            bytes,
            sizes,
            turn: 0,
            failure: None,
        }
    }

    pub(crate) fn failing(self, kind: io::ErrorKind) -> Self {
        Self {
            failure: Some(kind),
            ..self
        }
    }
}

impl Read for Chunky {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].min(buffer.len());
        self.turn += 1;
        if self.turn.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match (self.bytes.read(&mut buffer[..size])?, self.failure) {
            (0, Some(kind)) if size > 0 => Err(kind.into()),
            (read, _) => Ok(read),
        }
    }
}
