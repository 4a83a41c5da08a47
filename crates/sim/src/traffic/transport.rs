//! Transport headers of inner packets: TCP, UDP with DNS, ICMP echo.

use std::net::IpAddr;

use super::conversation::{Body, flag};
use super::payload::{Cut, Payload, fold, sum_words};

/// Maximum segment size 1,460 and window scale 7, as in a handshake.
const SYN_OPTIONS: [u8; 8] = [2, 4, 0x05, 0xb4, 1, 3, 3, 7];
const DNS_HEADER: usize = 12;
/// Length of the name's label, its end, type A, class IN.
const QUESTION: usize = 6;
const LABEL: [u8; 21] = *b"vxscope-vxscope-vxsco";
/// Letters of the label in a message that is padded.
const PADDED_LABEL: usize = 7;
/// An EDNS record with one padding option (RFC 6891, RFC 7830), up to the padding.
const EDNS: usize = 15;

/// Addresses and ports, sender first.
pub(crate) type Ends = [(IpAddr, u16); 2];

/// A header, and what follows it.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) protocol: u8,
    header: Header,
    body: Rest,
    /// Where the checksum is in the header.
    checksum_at: usize,
}

/// What follows a header.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Cut(Cut),
    Zeros(usize),
}

impl Rest {
    fn len(self) -> usize {
        match self {
            Self::Cut(cut) => cut.len(),
            Self::Zeros(length) => length,
        }
    }
}

impl Transport {
    pub(crate) fn new(ends: &Ends, body: &Body) -> Self {
        match *body {
            Body::Tcp {
                flags,
                seq,
                ack,
                data,
            } => Self::tcp(ends, flags, [seq, ack], data),
            Body::Dns { answer, id, length } => Self::dns(ends, answer, id, length),
            Body::Echo {
                answer,
                id,
                sequence,
                data,
            } => Self::echo(ends, answer, [id, sequence], data),
            Body::Piece { data, .. } => Self::udp(ends, Header::default(), Rest::Cut(data)),
        }
    }

    /// Bytes of header and body.
    pub(crate) fn len(&self) -> usize {
        self.header.length + self.body.len()
    }

    /// Header with its checksum; the caller appends what it wants of the body.
    pub(crate) fn write_header(&self, buffer: &mut Vec<u8>, sum: u16) {
        let start = buffer.len();
        buffer.extend_from_slice(self.header.bytes());
        let field = start + self.checksum_at;
        if let Some(field) = buffer.get_mut(field..field + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }

    pub(crate) fn write_body(&self, buffer: &mut Vec<u8>, payload: &Payload) {
        match self.body {
            Rest::Cut(cut) => buffer.extend_from_slice(payload.bytes(cut)),
            Rest::Zeros(length) => buffer.resize(buffer.len() + length, 0),
        }
    }

    /// The checksum of header and body between these ends.
    pub(crate) fn checksum(&self, ends: &Ends, payload: &Payload) -> u16 {
        let pseudo = match (self.protocol, ends.map(|(address, _)| address)) {
            (1, _) => 0,
            (_, [IpAddr::V4(from), IpAddr::V4(to)]) => {
                sum_words(&from.octets()) + sum_words(&to.octets())
            }
            (_, [IpAddr::V6(from), IpAddr::V6(to)]) => {
                sum_words(&from.octets()) + sum_words(&to.octets())
            }
            _ => 0,
        };
        let about = if self.protocol == 1 {
            0
        } else {
            u32::from(self.protocol) + u32::from(u16::from_be_bytes(field(self.len())))
        };
        let body = match self.body {
            Rest::Cut(cut) => payload.sum(cut),
            Rest::Zeros(_) => 0,
        };
        match fold(pseudo + about + sum_words(self.header.bytes()) + body) {
            // RFC 768: a computed zero is sent as all ones.
            0 if self.protocol == 17 => u16::MAX,
            sum => sum,
        }
    }

    fn tcp(ends: &Ends, flags: u8, [seq, ack]: [u32; 2], data: Cut) -> Self {
        let options: &[u8] = if flags & flag::SYN == 0 {
            &[]
        } else {
            &SYN_OPTIONS
        };
        let words = if options.is_empty() { 5 } else { 7 };
        let mut header = Header::default();
        header.ports(ends);
        header.push(&seq.to_be_bytes());
        header.push(&ack.to_be_bytes());
        header.push(&[words << 4, flags]);
        header.push(&64_240_u16.to_be_bytes());
        header.push(&[0; 4]);
        header.push(options);
        Self {
            protocol: 6,
            header,
            body: Rest::Cut(data),
            checksum_at: 16,
        }
    }

    /// UDP with a message whose beginning is `start`.
    fn udp(ends: &Ends, start: Header, body: Rest) -> Self {
        let mut header = Header::default();
        header.ports(ends);
        header.push(&field(8 + start.length + body.len()));
        header.push(&[0; 2]);
        header.push(start.bytes());
        Self {
            protocol: 17,
            header,
            body,
            checksum_at: 6,
        }
    }

    /// A DNS message of `length` bytes; of 19, if that is less.
    fn dns(ends: &Ends, answer: bool, id: u16, length: usize) -> Self {
        let padding = length.checked_sub(DNS_HEADER + QUESTION + PADDED_LABEL + EDNS);
        let letters = match padding {
            Some(_) => PADDED_LABEL,
            None => length
                .saturating_sub(DNS_HEADER + QUESTION)
                .clamp(1, LABEL.len()),
        };
        let label = LABEL.get(..letters).unwrap_or_default();
        let mut start = Header::default();
        start.push(&id.to_be_bytes());
        start.push(if answer { &[0x81, 0x80] } else { &[0x01, 0x00] });
        start.push(&[0, 1, 0, 0, 0, 0, 0, u8::from(padding.is_some())]);
        start.push(&[u8::try_from(letters).unwrap_or(0)]);
        start.push(label);
        start.push(&[0, 0, 1, 0, 1]);
        if let Some(padding) = padding {
            start.push(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
            start.push(&field(4 + padding));
            start.push(&[0, 12]);
            start.push(&field(padding));
        }
        Self::udp(ends, start, Rest::Zeros(padding.unwrap_or(0)))
    }

    fn echo(ends: &Ends, answer: bool, [id, sequence]: [u16; 2], data: Cut) -> Self {
        let ipv4 = ends.iter().all(|(address, _)| address.is_ipv4());
        let (protocol, kind) = match (ipv4, answer) {
            (true, false) => (1, 8),
            (true, true) => (1, 0),
            (false, false) => (58, 128),
            (false, true) => (58, 129),
        };
        let mut header = Header::default();
        header.push(&[kind, 0, 0, 0]);
        header.push(&id.to_be_bytes());
        header.push(&sequence.to_be_bytes());
        Self {
            protocol,
            header,
            body: Rest::Cut(data),
            checksum_at: 2,
        }
    }
}

/// The beginning of a packet, on the stack while it is put together.
#[derive(Debug)]
struct Header {
    bytes: [u8; 56],
    length: usize,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            bytes: [0; 56],
            length: 0,
        }
    }
}

impl Header {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Appends; every header above fits, as the tests of whole frames show.
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    fn ports(&mut self, ends: &Ends) {
        for (_, port) in ends {
            self.push(&port.to_be_bytes());
        }
    }
}

/// A length as it stands in a header.
pub(crate) fn field(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
