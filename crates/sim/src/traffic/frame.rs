//! Writes inner frames: Ethernet, IP and what it carries, with right lengths and checksums.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::conversation::{Body, Segment};
use super::identity::Identity;
use super::payload::{Cut, Payload, fold, sum_words};
use super::transport::{Ends, Transport, field};

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
const UDP_HEADER: usize = 8;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;

/// One inner frame, ready to be written.
#[derive(Debug)]
pub(crate) struct Frame {
    macs: [u8; 12],
    from_local: bool,
    ends: Ends,
    id: u32,
    transport: Transport,
    piece: Option<Piece>,
}

/// The part of a UDP datagram that one fragment carries.
#[derive(Clone, Copy, Debug)]
struct Piece {
    data: Cut,
    offset: usize,
    length: usize,
    more: bool,
}

impl Frame {
    /// As it crosses the interface of the source `seen_by`.
    pub(crate) fn new(identity: &Identity, segment: &Segment, seen_by: u32) -> Self {
        let ends = if segment.from_local {
            [identity.local, identity.remote]
        } else {
            [identity.remote, identity.local]
        };
        let piece = match segment.body {
            Body::Piece {
                data,
                offset,
                length,
                more,
            } => Some(Piece {
                data,
                offset,
                length,
                more,
            }),
            Body::Tcp { .. } | Body::Dns { .. } | Body::Echo { .. } => None,
        };
        Self {
            macs: macs(seen_by, segment.from_local || seen_by != identity.source),
            from_local: segment.from_local,
            ends,
            id: segment.id,
            transport: Transport::new(&ends, &segment.body),
            piece,
        }
    }

    /// Bytes that [`Frame::write`] appends.
    pub(crate) fn len(&self) -> usize {
        let (ip, fragment) = if self.is_ipv4() { (20, 0) } else { (40, 8) };
        let rest = match self.piece {
            Some(piece) => fragment + piece.length,
            None => self.transport.len(),
        };
        ETHERNET + ip + rest
    }

    /// Appends the frame. Without `checksum` the transport's is left 0, not computed.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, payload: &Payload, checksum: bool) {
        buffer.extend_from_slice(&self.macs);
        match self.ends.map(|(address, _)| address) {
            [IpAddr::V4(from), IpAddr::V4(to)] => self.write_ipv4(buffer, from, to),
            [IpAddr::V6(from), IpAddr::V6(to)] => self.write_ipv6(buffer, from, to),
            _ => {}
        }
        let sum = || {
            if checksum {
                self.transport.checksum(&self.ends, payload)
            } else {
                0
            }
        };
        match self.piece {
            None => {
                self.transport.write_header(buffer, sum());
                self.transport.write_body(buffer, payload);
            }
            Some(Piece {
                data,
                offset: 0,
                length,
                ..
            }) => {
                self.transport.write_header(buffer, sum());
                let first = data.part(0, length - UDP_HEADER);
                buffer.extend_from_slice(payload.bytes(first));
            }
            Some(Piece {
                data,
                offset,
                length,
                ..
            }) => {
                let part = data.part(offset - UDP_HEADER, length);
                buffer.extend_from_slice(payload.bytes(part));
            }
        }
    }

    fn write_ipv4(&self, buffer: &mut Vec<u8>, from: Ipv4Addr, to: Ipv4Addr) {
        let fragment = self.piece.map_or(DONT_FRAGMENT, |piece| {
            piece.eighths() | if piece.more { MORE_FRAGMENTS } else { 0 }
        });
        let length = self
            .piece
            .map_or_else(|| self.transport.len(), |piece| piece.length);
        let (length, [_, _, id0, id1]) = (field(20 + length), self.id.to_be_bytes());
        let [fragment0, fragment1] = fragment.to_be_bytes();
        let mut header = [0; 20];
        header[..12].copy_from_slice(&[
            0x45,
            0,
            length[0],
            length[1],
            id0,
            id1,
            fragment0,
            fragment1,
            self.hops(),
            self.transport.protocol,
            0,
            0,
        ]);
        header[12..16].copy_from_slice(&from.octets());
        header[16..].copy_from_slice(&to.octets());
        let sum = fold(sum_words(&header)).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        buffer.extend_from_slice(&[0x08, 0x00]);
        buffer.extend_from_slice(&header);
    }

    fn write_ipv6(&self, buffer: &mut Vec<u8>, from: Ipv6Addr, to: Ipv6Addr) {
        let protocol = self.transport.protocol;
        let (next, length) = match self.piece {
            None => (protocol, self.transport.len()),
            Some(piece) => (44, 8 + piece.length),
        };
        buffer.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
        buffer.extend_from_slice(&field(length));
        buffer.extend_from_slice(&[next, self.hops()]);
        buffer.extend_from_slice(&from.octets());
        buffer.extend_from_slice(&to.octets());
        if let Some(piece) = self.piece {
            buffer.extend_from_slice(&[protocol, 0]);
            // The offset in units of eight bytes stands above three bits of flags.
            buffer.extend_from_slice(&(piece.eighths() << 3 | u16::from(piece.more)).to_be_bytes());
            buffer.extend_from_slice(&self.id.to_be_bytes());
        }
    }

    /// What is left of 64 hops: all, on the way out.
    fn hops(&self) -> u8 {
        if self.from_local { 64 } else { 57 }
    }

    fn is_ipv4(&self) -> bool {
        self.ends.iter().all(|(address, _)| address.is_ipv4())
    }
}

impl Piece {
    /// The offset as it stands in a header.
    fn eighths(self) -> u16 {
        u16::try_from(self.offset / 8).unwrap_or(0)
    }
}

/// Target and source MAC address of a frame that crosses the interface of `source`.
pub(crate) fn macs(source: u32, from_local: bool) -> [u8; 12] {
    let [a, b, c, d] = source.to_be_bytes();
    if from_local {
        [2, 0xff, a, b, c, d, 2, 0x0a, a, b, c, d]
    } else {
        [2, 0x0a, a, b, c, d, 2, 0xff, a, b, c, d]
    }
}
