//! Capture files of any bytes: the same records however they arrive, and all within the file.

use std::io::{self, Read};

use vxscope_capture::{Batch, Block, Input, Walk};
use vxscope_pcap::{Precision, Reader, Record, Step, classic};
use vxscope_units::{LinkType, Timestamp};

use super::random::Random;

/// Largest block that the stream is cut into.
const BLOCK_BYTES_MAX: usize = 2_048;
/// Largest piece that one read of the stream gives.
const PIECE_BYTES_MAX: usize = 600;
/// What the file is called in messages.
const NAME: &str = "capture";

/// The bytes are a capture file.
///
/// # Panics
/// If it gives other records in one block than as a stream in random pieces, a record lies
/// outside of the file or before its predecessor, what was walked and what is left are not the
/// whole file, an error stands beyond its end, or records that are written again read otherwise.
pub fn capture_file(data: &[u8]) {
    let whole = walk(Input::from_bytes(NAME, data.to_vec()), data);
    assert_eq!(whole, walk(stream(data), data));
    match &whole.error {
        None => assert_eq!(whole.end, data.len() as u64),
        Some((offset, _)) => assert_eq!(*offset, whole.end),
    }
    assert!(whole.end <= data.len() as u64);
    assert_eq!(whole, step_by_step(data));
    reads_again(data, &whole.records);
}

/// What walking through a file gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) records: Vec<Found>,
    /// Bytes walked.
    pub(super) end: u64,
    /// Where it went wrong, and how.
    pub(super) error: Option<(u64, String)>,
}

/// A record, and where its bytes stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    timestamp: Timestamp,
    link: LinkType,
    start: usize,
    len: usize,
    original_len: u32,
    interface: u32,
}

impl Walked {
    /// Adds a record of a piece of the file that starts at `offset`.
    fn push(&mut self, record: &Record<'_>, piece: &[u8], offset: u64, file: &[u8]) {
        let (outer, inner) = (piece.as_ptr_range(), record.data.as_ptr_range());
        let inside = outer.start <= inner.start && inner.end <= outer.end;
        // A record without bytes may stand anywhere.
        assert!(inside || record.data.is_empty(), "{record:?}");
        let end = self.records.last().map_or(0, |last| last.start + last.len);
        let start = if record.data.is_empty() {
            end
        } else {
            inner.start.addr() - outer.start.addr() + usize::try_from(offset).expect("64 bits")
        };
        assert!(start >= end, "records stand one after another");
        assert_eq!(&file[start..start + record.data.len()], record.data);
        self.records.push(Found {
            timestamp: record.timestamp,
            link: record.link,
            start,
            len: record.data.len(),
            original_len: record.original_len,
            interface: record.interface,
        });
    }
}

/// Walks an input in batches and, beside it, record by record, which must agree.
pub(super) fn walk(mut input: Input, file: &[u8]) -> Walked {
    let (mut walk, mut second) = (input.walk(), input.walk());
    let mut walked = Walked::default();
    while let Some(block) = input.next_block().expect("memory does not fail to be read") {
        let before = walked.records.len();
        let ended = walk_block(&mut walk, &block, file, &mut walked);
        let mut one_by_one = 0;
        let mut error = None;
        for record in second.records(&block) {
            match record {
                Ok(_) => one_by_one += 1,
                Err(found) => error = Some((found.offset(), found.to_string())),
            }
        }
        assert_eq!(before + one_by_one, walked.records.len());
        assert_eq!(error, walked.error);
        assert_eq!(second.offset(), walk.offset());
        if ended {
            break;
        }
    }
    walked.end = walk.offset();
    assert_eq!(walk.records_walked(), walked.records.len() as u64);
    walked
}

/// Whether the walk ended in an error.
fn walk_block(walk: &mut Walk, block: &Block, file: &[u8], walked: &mut Walked) -> bool {
    let mut batch = Batch::new();
    loop {
        let (before, index) = (walk.offset(), walk.records_walked());
        match walk.fill(block, &mut batch) {
            Ok(0) => return false,
            Ok(count) => {
                assert_eq!((batch.len(), batch.first_index()), (count, index));
                assert!(walk.offset() > before, "a record has a header");
            }
            Err(error) => {
                let message = error.to_string();
                let repeated = walk
                    .fill(block, &mut batch)
                    .map_err(|error| error.to_string());
                assert_eq!(repeated, Err(message.clone()), "an error is said again");
                walked.error = Some((error.offset(), message));
                return true;
            }
        }
        for record in batch.records() {
            walked.push(record, block.as_ref(), block.offset(), file);
        }
    }
}

/// The file as a stream: blocks and pieces of sizes that only its bytes decide.
fn stream(file: &[u8]) -> Input {
    let mut random = Random::of(file);
    let block_bytes = 1 + random.below(BLOCK_BYTES_MAX);
    let bytes = io::Cursor::new(file.to_vec());
    Input::with_block_bytes(NAME, Pieces { bytes, random }, block_bytes)
}

/// Gives bytes the way a pipe does: in pieces, with interruptions.
struct Pieces {
    bytes: io::Cursor<Vec<u8>>,
    random: Random,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.random.below(8) == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = 1 + self.random.below(PIECE_BYTES_MAX);
        let size = size.min(buffer.len());
        self.bytes.read(&mut buffer[..size])
    }
}

/// The reader alone, one step at a time, over all that is left.
fn step_by_step(file: &[u8]) -> Walked {
    let mut reader = Reader::new();
    let mut walked = Walked::default();
    let error = loop {
        let offset = usize::try_from(reader.offset()).expect("it is within the file");
        let rest = &file[offset..];
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                assert!((1..=rest.len()).contains(&consumed));
                walked.push(&record, rest, offset as u64, file);
            }
            Ok(Step::Skip { consumed }) => assert!((1..=rest.len()).contains(&consumed)),
            Ok(Step::NeedMore { needed }) => {
                assert!(needed > rest.len());
                break reader.finish(rest).err();
            }
            Err(error) => {
                assert_eq!(reader.read(rest), Err(error), "an error is said again");
                break Some(error);
            }
        }
    };
    walked.end = reader.offset();
    walked.error = error.map(|source| {
        let offset = reader.offset();
        let error = vxscope_capture::CaptureError::Malformed {
            file: NAME.into(),
            offset,
            source,
        };
        (offset, error.to_string())
    });
    walked
}

/// The records of the first one's link type, written to a classic file, read the same. It has 32
/// bits for seconds; records of later years stay out.
fn reads_again(file: &[u8], records: &[Found]) {
    let Some(link) = records.first().map(|first| first.link) else {
        return;
    };
    let fits =
        |record: &&Found| record.link == link && record.timestamp.seconds() <= u64::from(u32::MAX);
    let kept: Vec<&Found> = records.iter().filter(fits).collect();
    let precision = Precision::Nanos;
    let mut copy = classic::file_header(precision, link, 0).to_vec();
    for record in &kept {
        let len = u32::try_from(record.len).expect("a record is at most 128 MiB");
        copy.extend(classic::record_header(
            record.timestamp,
            len,
            record.original_len,
            precision,
        ));
        copy.extend_from_slice(&file[record.start..record.start + record.len]);
    }
    let again = step_by_step(&copy);
    assert_eq!(again.error, None);
    assert_eq!(again.records.len(), kept.len());
    for (again, kept) in again.records.iter().zip(kept) {
        let moved = Found {
            start: again.start,
            interface: 0,
            ..*kept
        };
        assert_eq!(*again, moved);
        let bytes = |all: &[u8], found: &Found| all[found.start..found.start + found.len].to_vec();
        assert_eq!(bytes(&copy, again), bytes(file, kept));
    }
}
