//! Whole files through the reader: written ones, damaged ones, and those of other programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod corpus;
mod damage;
mod encode;
mod round_trip;

use vxscope_pcap::{PcapError, Reader, Record, Step};
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
pub(crate) struct Outcome {
    pub(crate) records: Vec<Owned>,
    pub(crate) offset: u64,
    pub(crate) end: Result<(), PcapError>,
}

pub(crate) fn read_all(input: &[u8]) -> Outcome {
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
