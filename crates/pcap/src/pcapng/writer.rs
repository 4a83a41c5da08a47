//! Writes little-endian blocks with nanosecond stamps to the end of a `Vec<u8>`.

use vxscope_units::{LinkType, Timestamp};

use super::{BYTE_ORDER_MAGIC, block, option};
use crate::limit::captured_bytes_max;

/// Longest option value; the length field has 16 bits and values are padded to 4.
const OPTION_BYTES_MAX: usize = 65_532;
/// 10⁻⁹ seconds in option `if_tsresol`.
const NANOSECONDS: u8 = 9;

/// Writes one section. Link type and snap length are the same for all its interfaces: libpcap
/// refuses a file in which they differ.
#[derive(Clone, Debug)]
pub struct Writer {
    link: LinkType,
    snap_len: u32,
    interfaces: u32,
}

/// What readers show about an interface.
#[derive(Clone, Copy, Debug)]
pub struct InterfaceDescription<'a> {
    /// Short, like `vni-4711`; filters match it.
    pub name: &'a str,
    /// For people; empty is left out.
    pub description: &'a str,
    /// Anything else; empty is left out.
    pub comment: &'a str,
}

/// One packet to write.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// As [`Writer::interface`] returned it.
    pub interface: u32,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// The captured bytes; what exceeds the limit of the link type (256 KiB) is cut.
    pub data: &'a [u8],
    /// Bytes on the wire.
    pub original_len: u32,
    /// Shown beside the packet.
    pub comment: Option<&'a str>,
}

/// What became of an interface's packets up to `timestamp`.
#[derive(Clone, Copy, Debug)]
pub struct InterfaceStatistics {
    /// As [`Writer::interface`] returned it.
    pub interface: u32,
    /// When the counters were read.
    pub timestamp: Timestamp,
    /// Packets received.
    pub received: u64,
    /// Packets lost for lack of room.
    pub dropped: u64,
}

impl Writer {
    /// Writes the section header. `application` names the program; `snap_len` 0 is no limit.
    #[must_use]
    pub fn new(out: &mut Vec<u8>, application: &str, link: LinkType, snap_len: u32) -> Self {
        write_block(out, block::SECTION, |out| {
            out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
            out.extend([1, 0, 0, 0]);
            // The section's length is unknown while it is being written.
            out.extend([0xff; 8]);
            write_option(out, option::SECTION_APPLICATION, text(application));
            write_option(out, option::END, &[]);
        });
        Self {
            link,
            snap_len,
            interfaces: 0,
        }
    }

    /// Writes an interface description, at any time before its first packet; returns its number.
    pub fn interface(&mut self, out: &mut Vec<u8>, interface: &InterfaceDescription<'_>) -> u32 {
        let [link0, link1, ..] = self.link.number().to_le_bytes();
        write_block(out, block::INTERFACE, |out| {
            out.extend([link0, link1, 0, 0]);
            out.extend(self.snap_len.to_le_bytes());
            if !interface.comment.is_empty() {
                write_option(out, option::COMMENT, text(interface.comment));
            }
            write_option(out, option::INTERFACE_NAME, text(interface.name));
            if !interface.description.is_empty() {
                write_option(
                    out,
                    option::INTERFACE_DESCRIPTION,
                    text(interface.description),
                );
            }
            write_option(out, option::INTERFACE_RESOLUTION, &[NANOSECONDS]);
            write_option(out, option::END, &[]);
        });
        let number = self.interfaces;
        self.interfaces = self.interfaces.saturating_add(1);
        number
    }

    /// How many interfaces have been described.
    #[must_use]
    pub const fn interfaces(&self) -> u32 {
        self.interfaces
    }

    /// Writes an enhanced packet block.
    pub fn packet(&self, out: &mut Vec<u8>, packet: &Packet<'_>) {
        debug_assert!(
            packet.interface < self.interfaces,
            "packet of an interface not described"
        );
        let limit = crate::bytes::index(captured_bytes_max(self.link));
        let data = packet.data.get(..limit).unwrap_or(packet.data);
        write_block(out, block::ENHANCED, |out| {
            out.extend(packet.interface.to_le_bytes());
            write_timestamp(out, packet.timestamp);
            out.extend(length(data).to_le_bytes());
            out.extend(packet.original_len.to_le_bytes());
            out.extend_from_slice(data);
            pad(out, data.len());
            if let Some(comment) = packet.comment {
                write_option(out, option::COMMENT, text(comment));
                write_option(out, option::END, &[]);
            }
        });
    }

    /// Writes an interface statistics block.
    pub fn statistics(&self, out: &mut Vec<u8>, statistics: &InterfaceStatistics) {
        write_block(out, block::STATISTICS, |out| {
            out.extend(statistics.interface.to_le_bytes());
            write_timestamp(out, statistics.timestamp);
            write_option(
                out,
                option::STATISTICS_RECEIVED,
                &statistics.received.to_le_bytes(),
            );
            write_option(
                out,
                option::STATISTICS_DROPPED,
                &statistics.dropped.to_le_bytes(),
            );
            write_option(out, option::END, &[]);
        });
    }
}

/// Writes type, a length to be filled in, the body, and the length again.
fn write_block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let total = u32::try_from(out.len() - start + 4)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    out.extend(total);
    if let Some(field) = out.get_mut(start + 4..start + 8) {
        field.copy_from_slice(&total);
    }
}

fn write_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..OPTION_BYTES_MAX).unwrap_or(value);
    let [l0, l1, ..] = length(value).to_le_bytes();
    out.extend(code.to_le_bytes());
    out.extend([l0, l1]);
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// High word first, each word in the file's byte order.
fn write_timestamp(out: &mut Vec<u8>, timestamp: Timestamp) {
    let [low @ .., h0, h1, h2, h3] = timestamp.as_nanos().to_le_bytes();
    out.extend([h0, h1, h2, h3]);
    out.extend::<[u8; 4]>(low);
}

fn pad(out: &mut Vec<u8>, written: usize) {
    let missing = written.next_multiple_of(4) - written;
    out.extend([0; 3].into_iter().take(missing));
}

/// A text as option value, cut between characters.
fn text(value: &str) -> &[u8] {
    let end = value.floor_char_boundary(OPTION_BYTES_MAX);
    value.as_bytes().get(..end).unwrap_or_default()
}

/// Callers have bounded it far below 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
