//! Whole files through the reader: written ones, damaged ones, and those of other programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod corpus;
mod damage;
mod encode;
mod round_trip;

use vxscope_pcap::{Many, PcapError, Reader, Record, Step};
use vxscope_units::{LinkType, Timestamp};

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) timestamp: Timestamp,
    pub(crate) link: LinkType,
    pub(crate) data: Vec<u8>,
    pub(crate) original_len: u32,
    pub(crate) interface: u32,
}

impl From<Record<'_>> for Owned {
    fn from(record: Record<'_>) -> Self {
        Self {
            timestamp: record.timestamp,
            link: record.link,
            data: record.data.to_vec(),
            original_len: record.original_len,
            interface: record.interface,
        }
    }
}

/// All records, where the reader stopped, and why if the input is malformed.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) records: Vec<Owned>,
    pub(crate) offset: u64,
    pub(crate) end: Result<(), PcapError>,
}

/// Record by record, and many at a time, which must be the same.
pub(crate) fn read_all(input: &[u8]) -> Outcome {
    let outcome = read_one_by_one(input);
    assert_eq!(read_many(input), outcome, "many at a time");
    outcome
}

/// What a place holds before a record does.
const NO_RECORD: Record<'_> = Record {
    timestamp: Timestamp::ZERO,
    link: LinkType::Ethernet,
    data: &[],
    original_len: 0,
    interface: 0,
};

fn read_many(input: &[u8]) -> Outcome {
    let mut reader = Reader::new();
    let mut records: Vec<Owned> = Vec::new();
    let mut rest = input;
    let end = loop {
        let mut places = [NO_RECORD; 3];
        let Many {
            records: count,
            consumed,
        } = reader.read_many(rest, &mut places);
        records.extend(places[..count].iter().map(|it| Owned::from(*it)));
        rest = &rest[consumed..];
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                records.push(record.into());
                rest = &rest[consumed..];
            }
            Ok(Step::Skip { consumed }) => rest = &rest[consumed..],
            Ok(Step::NeedMore { .. }) => break reader.finish(rest),
            Err(error) => break Err(error),
        }
    };
    Outcome {
        records,
        offset: reader.offset(),
        end,
    }
}

fn read_one_by_one(input: &[u8]) -> Outcome {
    let mut reader = Reader::new();
    let mut records = Vec::new();
    let mut rest = input;
    let end = loop {
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                records.push(record.into());
                rest = &rest[consumed..];
            }
            Ok(Step::Skip { consumed }) => rest = &rest[consumed..],
            Ok(Step::NeedMore { needed }) => {
                assert!(needed > rest.len(), "asked for what was there");
                break reader.finish(rest);
            }
            Err(error) => {
                assert_eq!(reader.read(rest), Err(error), "an error must repeat");
                break Err(error);
            }
        }
    };
    assert_eq!(reader.offset(), (input.len() - rest.len()) as u64);
    Outcome {
        records,
        offset: reader.offset(),
        end,
    }
}
