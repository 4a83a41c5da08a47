//! Why an input cannot be read on.

use std::io;
use std::sync::Arc;

use thiserror::Error;
use vxscope_pcap::PcapError;

/// Why an input cannot be read on. What came before has been delivered.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// There is no such input.
    #[error("{file}: cannot be opened: {source}")]
    Open {
        /// As it was named.
        file: Arc<str>,
        /// What the kernel says.
        source: io::Error,
    },
    /// The device or pipe failed.
    #[error("{file}: reading failed at byte {offset}: {source}; what came before was read")]
    Read {
        /// As it was named.
        file: Arc<str>,
        /// Bytes that arrived.
        offset: u64,
        /// What the kernel says.
        source: io::Error,
    },
    /// The bytes are not a capture, or no longer.
    #[error("{file}: at byte {offset}: {source}{}", what_was_read(*.offset))]
    Malformed {
        /// As it was named.
        file: Arc<str>,
        /// First byte of the malformed record, block or header.
        offset: u64,
        /// What is wrong with it.
        source: PcapError,
    },
}

impl CaptureError {
    /// The input, as it was named; `-` is standard input.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Open { file, .. } | Self::Read { file, .. } | Self::Malformed { file, .. } => {
                file
            }
        }
    }

    /// Where in the input it happened, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        match self {
            Self::Open { .. } => 0,
            Self::Read { offset, .. } | Self::Malformed { offset, .. } => *offset,
        }
    }

    /// What is wrong, without file and offset.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } => source.to_string(),
            Self::Malformed { source, .. } => source.to_string(),
        }
    }
}

const fn what_was_read(offset: u64) -> &'static str {
    match offset {
        0 => "",
        _ => "; all records before it were read",
    }
}
