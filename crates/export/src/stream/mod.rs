//! Captures as streams: classic pcap to standard output, FIFOs, unix sockets and TCP readers.
//!
//! Every reader has a queue of its own ([`reader`]), so that one that is slow costs the others
//! nothing; it starts with a file header of its own and never sees half a record. A finite input
//! waits for its reader, a live one never does.

mod connection;
mod over_ip;
mod pcap_stream;
mod reader;
#[cfg(test)]
mod tests;

pub use over_ip::{OverIpEnd, PcapOverIp};
pub use pcap_stream::PcapStream;

use crate::sink::SinkCount;

/// Whether the frames come from an input that can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// They come from files: a reader that is behind, or not there yet, is waited for.
    Finite,
    /// They come from the network: what finds no room is shed and counted.
    Live,
}

/// One reader's part of a stream's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderCount {
    /// Where it reads: a path or an address.
    pub name: String,
    /// What it was offered, was sent and was not.
    pub count: SinkCount,
}
