//! Why bytes are not, or no longer, a capture.

use std::fmt;

use thiserror::Error;

/// Why bytes are not, or no longer, a capture. The caller adds the file and the offset
/// ([`Reader::offset`](crate::Reader::offset)): the first byte of the record, block or header
/// that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PcapError {
    /// No bytes at all.
    #[error("the input is empty; a capture starts with a file header")]
    Empty,
    /// The magic number of a compressed file.
    #[error("this is {format} data; decompress it first ({})", .format.remedy())]
    Compressed {
        /// By which program.
        format: Compression,
    },
    /// Neither pcap nor pcapng.
    #[error("not a pcap or pcapng file: it starts with {:#010x}", u32::from_be_bytes(*.actual))]
    Magic {
        /// The first four bytes.
        actual: [u8; 4],
    },
    /// A section header block whose byte-order magic is wrong.
    #[error(
        "pcapng section header has byte-order magic {actual:#010x} instead of {expected:#010x}"
    )]
    ByteOrderMagic {
        /// `0x1a2b3c4d`.
        expected: u32,
        /// As read in big-endian order.
        actual: u32,
    },
    /// A format version that nobody has defined a meaning for.
    #[error("{format} version {major}.{minor} is not supported; known are {expected}")]
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// The versions that are read.
        expected: &'static str,
        /// As in the file.
        major: u16,
        /// As in the file.
        minor: u16,
    },
    /// Bits 16 to 25 of a pcap file's link type, which must be zero.
    #[error("link type field {actual:#010x} has reserved bits set")]
    LinkTypeReserved {
        /// The whole field.
        actual: u32,
    },
    /// More captured bytes than any capture program writes.
    #[error("record claims {actual} captured bytes; at most {expected} are possible")]
    RecordLength {
        /// The bound of the link type.
        expected: u32,
        /// As in the file.
        actual: u32,
    },
    /// The input ends before the record, block or header does.
    #[error("the input ends inside a record: {actual} of {expected} bytes are there")]
    Truncated {
        /// Bytes from the start of the record that would be required.
        expected: usize,
        /// Bytes that are left.
        actual: usize,
    },
    /// A block too short for the fields of its type.
    #[error("pcapng block type {block:#x} has {actual} bytes; at least {expected} are required")]
    BlockTooShort {
        /// Block type.
        block: u32,
        /// Least total length of that type.
        expected: u32,
        /// Total length as in the file.
        actual: u32,
    },
    /// A block longer than a reader must accept.
    #[error("pcapng block type {block:#x} claims {actual} bytes; at most {expected} are accepted")]
    BlockTooLong {
        /// Block type.
        block: u32,
        /// The bound.
        expected: u32,
        /// Total length as in the file.
        actual: u32,
    },
    /// A block length that is not a multiple of four.
    #[error("pcapng block type {block:#x} has {actual} bytes, which is not a multiple of 4")]
    BlockUnaligned {
        /// Block type.
        block: u32,
        /// Total length as in the file.
        actual: u32,
    },
    /// The length after a block differs from the length before it.
    #[error("pcapng block starts with length {expected} but ends with length {actual}")]
    BlockTrailer {
        /// Total length at the start.
        expected: u32,
        /// Total length at the end.
        actual: u32,
    },
    /// A packet that claims more bytes than its block holds.
    #[error("packet claims {expected} captured bytes but its block holds {actual}")]
    BlockData {
        /// Captured length as in the file.
        expected: u32,
        /// Bytes between the packet header and the end of the block.
        actual: usize,
    },
    /// A pcapng file that ends without a single interface.
    #[error("the pcapng file has no interface description block")]
    NoInterface,
    /// A packet of an interface that the section has not described.
    #[error("packet of interface {actual}, but the section describes {expected} so far")]
    UnknownInterface {
        /// How many interfaces there are.
        expected: usize,
        /// The one asked for, counted from 0.
        actual: u32,
    },
    /// More than [`INTERFACES_MAX`](crate::INTERFACES_MAX) interfaces in one section.
    #[error("the section describes more than {expected} interfaces")]
    InterfaceCount {
        /// The bound.
        expected: usize,
    },
    /// An option of an interface that reaches beyond its block or has an impossible length.
    #[error("interface option {code} has length {actual}; expected is {expected}")]
    OptionLength {
        /// Option code.
        code: u16,
        /// The length it must have, or the room that is left.
        expected: usize,
        /// As in the file.
        actual: usize,
    },
    /// An option that may be given once is given twice.
    #[error("interface option {code} is given twice")]
    OptionRepeated {
        /// Option code.
        code: u16,
    },
    /// Time stamps finer than 64 bits can count in a second.
    #[error(
        "time stamp resolution {base}^-{actual} is too fine; at most {base}^-{expected} is read"
    )]
    TimeResolution {
        /// 10 or 2.
        base: u8,
        /// The finest exponent that is read.
        expected: u8,
        /// As in the file.
        actual: u8,
    },
}

/// The program a compressed file must be given to before it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz format.
    Xz,
    /// The .bz2 format.
    Bzip2,
    /// The LZ4 frame format.
    Lz4,
}

impl Compression {
    /// From the first four bytes of a file.
    pub(crate) const fn detect(magic: [u8; 4]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X'] => Some(Self::Xz),
            [b'B', b'Z', b'h', _] => Some(Self::Bzip2),
            [0x04, 0x22, 0x4d, 0x18] => Some(Self::Lz4),
            _ => None,
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Gzip => "gzip -dc FILE",
            Self::Zstd => "zstd -dc FILE",
            Self::Xz => "xz -dc FILE",
            Self::Bzip2 => "bzip2 -dc FILE",
            Self::Lz4 => "lz4 -dc FILE",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
        })
    }
}
