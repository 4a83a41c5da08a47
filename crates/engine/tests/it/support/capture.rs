//! Captures read and written by the tests.

use std::fs;
use std::path::{Path, PathBuf};

use vxscope_pcap::{Precision, Reader, Step, classic};
use vxscope_units::{LinkType, Timestamp};

/// A record of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) time: Timestamp,
    pub(crate) link: LinkType,
    pub(crate) bytes: Vec<u8>,
    pub(crate) original_len: u32,
}

impl Packet {
    /// An Ethernet frame captured whole.
    pub(crate) fn whole(time: Timestamp, bytes: Vec<u8>) -> Self {
        let original_len = u32::try_from(bytes.len()).unwrap();
        Self {
            time,
            link: LinkType::Ethernet,
            bytes,
            original_len,
        }
    }

    /// Time in microseconds, as classic captures keep it.
    pub(crate) fn micros(&self) -> u64 {
        self.time.as_nanos() / 1_000
    }
}

/// The records of a capture, up to its end or its first error.
pub(crate) fn packets(file: &Path) -> Vec<Packet> {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = Reader::new();
    let mut rest = bytes.as_slice();
    let mut packets = Vec::new();
    loop {
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                packets.push(Packet {
                    time: record.timestamp,
                    link: record.link,
                    bytes: record.data.to_vec(),
                    original_len: record.original_len,
                });
                rest = &rest[consumed..];
            }
            Ok(Step::Skip { consumed }) => rest = &rest[consumed..],
            Ok(Step::NeedMore { .. }) | Err(_) => return packets,
        }
    }
}

/// The records of a classic little-endian capture with microseconds, read by hand: what
/// `decap.pcap` must be, whatever our own reader thinks of it.
pub(crate) fn decap(dir: &Path) -> Vec<Packet> {
    let bytes = fs::read(dir.join("decap.pcap")).unwrap();
    let (header, mut rest) = bytes.split_first_chunk::<24>().unwrap();
    assert_eq!(
        header[..8],
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0],
        "magic and version"
    );
    assert_eq!(header[20..], [1, 0, 0, 0], "Ethernet");
    let mut packets = Vec::new();
    while let Some((header, data)) = rest.split_first_chunk::<16>() {
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let (captured, others) = data.split_at(word(8) as usize);
        packets.push(Packet {
            time: Timestamp::new(word(0).into(), u64::from(word(4)) * 1_000),
            link: LinkType::Ethernet,
            bytes: captured.to_vec(),
            original_len: word(12),
        });
        rest = others;
    }
    assert!(rest.is_empty(), "decap.pcap ends inside a record");
    packets
}

/// Writes Ethernet frames as a classic capture with nanoseconds.
pub(crate) fn write(file: &Path, packets: &[Packet]) -> PathBuf {
    let mut bytes = classic::file_header(Precision::Nanos, LinkType::Ethernet, 262_144).to_vec();
    for packet in packets {
        let captured = u32::try_from(packet.bytes.len()).unwrap();
        let header =
            classic::record_header(packet.time, captured, packet.original_len, Precision::Nanos);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&packet.bytes);
    }
    fs::write(file, bytes).unwrap();
    file.to_owned()
}
