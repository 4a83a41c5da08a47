//! A classic capture file in memory.

use vxscope_units::{LinkType, Timestamp};

/// Builds a capture file with nanosecond stamps.
#[derive(Clone, Debug)]
pub struct Pcap {
    bytes: Vec<u8>,
}

impl Pcap {
    /// Of Ethernet frames.
    #[must_use]
    pub fn ethernet() -> Self {
        Self::new(LinkType::Ethernet)
    }

    /// Of any link type, in little endian.
    #[must_use]
    pub fn new(link_type: LinkType) -> Self {
        let words = [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 262_144, link_type.number()];
        Self {
            bytes: words.into_iter().flat_map(u32::to_le_bytes).collect(),
        }
    }

    /// A whole packet.
    #[must_use]
    pub fn record(self, at: Timestamp, packet: &[u8]) -> Self {
        self.cut_record(at, packet, packet.len())
    }

    /// What was captured of a packet of `original` bytes.
    #[must_use]
    pub fn cut_record(mut self, at: Timestamp, packet: &[u8], original: usize) -> Self {
        let word = |number: usize| u32::try_from(number).expect("a length of 32 bits");
        let seconds = u32::try_from(at.seconds()).expect("a time before the year 2106");
        for word in [
            seconds,
            at.subsec_nanos(),
            word(packet.len()),
            word(original),
        ] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.extend_from_slice(packet);
        self
    }

    /// The file.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
