//! What a flow says next.

use super::identity::{Identity, Kind};
use super::payload::{Cut, Payload};
use super::spec::Size;
use crate::random::Random;

/// TCP flags.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
}

/// Bytes after the IP headers of the three fragments of a datagram; all but the last are
/// multiples of eight.
const PIECES: [usize; 3] = [1_376, 1_376, 500];
/// A connection with fewer packets than this ends without FIN: handshake and close take six.
const CLOSED_MIN: u32 = 7;
const UDP_HEADER: usize = 8;

/// The state of one flow, 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Packets it has yet to send.
    pub(crate) left: u32,
    /// Packets it has sent.
    pub(crate) step: u32,
    /// Next sequence numbers of initiator and responder.
    seq: [u32; 2],
}

/// One packet of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) from_local: bool,
    /// IP identification.
    pub(crate) id: u32,
    pub(crate) body: Body,
}

/// What the IP header carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Tcp {
        flags: u8,
        seq: u32,
        ack: u32,
        data: Cut,
    },
    /// A message of this many bytes.
    Dns {
        answer: bool,
        id: u16,
        length: usize,
    },
    Echo {
        answer: bool,
        id: u16,
        sequence: u16,
        data: Cut,
    },
    /// A fragment: `range` of the UDP datagram that has `data`.
    Piece {
        data: Cut,
        offset: usize,
        length: usize,
        more: bool,
    },
}

impl Flow {
    pub(crate) fn new(identity: &Identity, packets: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = identity.hash.wrapping_mul(0x9e37_79b9).to_be_bytes();
        let seq = [
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([h, g, f, e]),
        ];
        Self {
            left: packets,
            step: 0,
            seq,
        }
    }

    /// The next packet; `left` must not be 0.
    pub(crate) fn next(&mut self, identity: &Identity, size: Size, random: &mut Random) -> Segment {
        let (from_initiator, body) = match identity.kind {
            Kind::Tcp => self.tcp(identity, size, random),
            Kind::Probe => self.probe(),
            Kind::Dns => self.dns(identity, size, random),
            Kind::Echo => self.echo(identity, size, random),
            Kind::Datagrams => self.piece(identity),
        };
        let id = match identity.kind {
            Kind::Datagrams => self.step / 3,
            _ => self.step,
        };
        self.step += 1;
        self.left = self.left.saturating_sub(1);
        let from_local = from_initiator == identity.local_starts;
        Segment {
            from_local,
            id: id.wrapping_add(self.seq[0] & 0xff00),
            body,
        }
    }

    fn tcp(&mut self, identity: &Identity, size: Size, random: &mut Random) -> (bool, Body) {
        let closes = self.step + self.left >= CLOSED_MIN;
        let (from_initiator, flags, length) = match (self.step, self.left) {
            (0, _) => (true, flag::SYN, 0),
            (1, _) => (false, flag::SYN | flag::ACK, 0),
            (2, _) => (true, flag::ACK, 0),
            (_, 3) if closes => (true, flag::FIN | flag::ACK, 0),
            (_, 2) if closes => (false, flag::FIN | flag::ACK, 0),
            (_, 1) if closes => (true, flag::ACK, 0),
            _ => {
                let headers = 20 + headers(identity);
                let length = size.draw(random).saturating_sub(headers);
                (random.coin(), flag::PSH | flag::ACK, length)
            }
        };
        let data = Payload::cut(identity.hash.wrapping_add(u64::from(self.step)), length);
        (from_initiator, self.segment(from_initiator, flags, data))
    }

    fn probe(&mut self) -> (bool, Body) {
        let data = Payload::cut(0, 0);
        if self.step == 0 {
            (true, self.segment(true, flag::SYN, data))
        } else {
            let (seq, ack) = (0, self.seq[0]);
            (
                false,
                Body::Tcp {
                    flags: flag::RST | flag::ACK,
                    seq,
                    ack,
                    data,
                },
            )
        }
    }

    /// A TCP segment, and the sequence numbers after it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a payload is far below 2^32 bytes"
    )]
    fn segment(&mut self, from_initiator: bool, flags: u8, data: Cut) -> Body {
        let [initiator, responder] = &mut self.seq;
        let (own, other) = if from_initiator {
            (initiator, *responder)
        } else {
            (responder, *initiator)
        };
        let seq = *own;
        let flagged = u32::from(flags & (flag::SYN | flag::FIN) != 0);
        *own = own.wrapping_add(data.len() as u32).wrapping_add(flagged);
        let ack = if flags & flag::ACK == 0 { 0 } else { other };
        Body::Tcp {
            flags,
            seq,
            ack,
            data,
        }
    }

    fn dns(&self, identity: &Identity, size: Size, random: &mut Random) -> (bool, Body) {
        let answer = self.step % 2 == 1;
        let length = size
            .draw(random)
            .saturating_sub(UDP_HEADER + headers(identity));
        let id = (self.seq[1].wrapping_add(self.step / 2) & 0xffff) as u16;
        (!answer, Body::Dns { answer, id, length })
    }

    fn echo(&self, identity: &Identity, size: Size, random: &mut Random) -> (bool, Body) {
        let answer = self.step % 2 == 1;
        let length = size.draw(random).saturating_sub(8 + headers(identity));
        let number = self.step / 2;
        let data = Payload::cut(identity.hash.wrapping_add(u64::from(number)), length);
        let id = (self.seq[0] & 0xffff) as u16;
        (
            !answer,
            Body::Echo {
                answer,
                id,
                sequence: (number & 0xffff) as u16,
                data,
            },
        )
    }

    fn piece(&self, identity: &Identity) -> (bool, Body) {
        let (datagram, piece) = (self.step / 3, self.step as usize % 3);
        let data = Payload::cut(
            identity.hash.wrapping_add(u64::from(datagram)),
            PIECES.iter().sum::<usize>() - UDP_HEADER,
        );
        let offset = PIECES.iter().take(piece).sum();
        let length = PIECES.get(piece).copied().unwrap_or(0);
        (
            datagram % 2 == 0,
            Body::Piece {
                data,
                offset,
                length,
                more: piece < 2,
            },
        )
    }
}

/// Bytes of the Ethernet and IP headers.
fn headers(identity: &Identity) -> usize {
    if identity.local.0.is_ipv4() {
        14 + 20
    } else {
        14 + 40
    }
}
