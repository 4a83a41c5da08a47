//! A canary through a mirror: one small datagram to a mirrored source, whose copy has to come back.
//!
//! Its token is a keyed hash of its address and round: nobody else makes one, so nobody hides
//! traffic as canaries. Its copy, and that of the source's "port unreachable", belong to no flow:
//! they are counted like every packet, and are evidence of nothing but that the mirror works.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use vxscope_wire::{Class, FrameView};

/// How one begins.
const MAGIC: [u8; 8] = *b"vxcanary";
/// Bytes of one: what it begins with, its round, its token.
pub(crate) const BYTES: usize = 24;
/// Protocol numbers (IANA), and the types of "destination unreachable" (RFC 792, RFC 4443).
const ICMP: (u8, u8) = (1, 3);
const ICMPV6: (u8, u8) = (58, 1);
const UDP: u8 = 17;
/// Bytes of the headers of ICMP errors and of UDP.
const ERROR_HEADER: usize = 8;
const UDP_HEADER: usize = 8;

/// How this run's are made and known. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    port: u16,
    key: RandomState,
}

impl Canary {
    /// To that port, with a key of this run.
    pub(crate) fn new(port: u16) -> Self {
        Self {
            port,
            key: RandomState::new(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// That of a round to an address.
    pub(crate) fn payload(&self, address: IpAddr, round: u64) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let token = self.key.hash_one((address, round)).to_be_bytes();
        let parts = MAGIC.into_iter().chain(round.to_be_bytes()).chain(token);
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        bytes
    }

    /// Whether a frame of the mirror of `source` is one on its way there, or says that it was not
    /// taken.
    pub(crate) fn is_in(&self, view: &FrameView, frame: &[u8], source: IpAddr) -> bool {
        if view.class != Class::Ip || view.transport_offset == 0 {
            return false;
        }
        let transport = usize::from(view.transport_offset);
        match (view.tuple.protocol, view.icmp_type) {
            (UDP, _) if view.tuple.destination_port == self.port => {
                self.is_at(frame, transport + UDP_HEADER, source)
            }
            ICMP => {
                let quoted = transport + ERROR_HEADER;
                let header = frame
                    .get(quoted)
                    .map_or(0, |byte| usize::from(byte & 15) * 4);
                self.is_at(frame, quoted + header + UDP_HEADER, source)
            }
            ICMPV6 => self.is_at(frame, transport + ERROR_HEADER + 40 + UDP_HEADER, source),
            _ => false,
        }
    }

    fn is_at(&self, frame: &[u8], offset: usize, source: IpAddr) -> bool {
        let bytes = frame.get(offset..).and_then(<[u8]>::first_chunk::<BYTES>);
        bytes.is_some_and(|bytes| {
            let round = bytes.get(MAGIC.len()..).and_then(<[u8]>::first_chunk);
            let round = round.map_or(0, |round| u64::from_be_bytes(*round));
            bytes.starts_with(&MAGIC) && *bytes == self.payload(source, round)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_testkit::Frame;
    use vxscope_wire::read_frame;

    const PORT: u16 = 9;

    #[test]
    fn only_a_token_of_this_run_to_this_source_is_one() {
        let canary = Canary::new(PORT);
        let source: IpAddr = "10.0.0.5".parse().unwrap();
        let payload = canary.payload(source, 7);
        let mut forged = payload;
        forged[BYTES - 1] ^= 1;
        let other = Canary::new(PORT).payload(source, 7);
        let table: [(&str, &str, &[u8], bool); 7] = [
            ("it", "10.0.0.5:9", &payload, true),
            ("another port", "10.0.0.5:53", &payload, false),
            ("a forged token", "10.0.0.5:9", &forged, false),
            ("of another run", "10.0.0.5:9", &other, false),
            ("cut off", "10.0.0.5:9", &payload[..BYTES - 1], false),
            ("nothing", "10.0.0.5:9", b"", false),
            ("no canary", "10.0.0.5:9", &[b'v'; 64], false),
        ];
        for (what, to, payload, expected) in table {
            let frame = Frame::udp("10.9.9.9:40000", to).payload(payload).bytes();
            assert_eq!(is_in(&canary, &frame, source), expected, "{what}");
        }
        let elsewhere = "10.0.0.6".parse().unwrap();
        let frame = Frame::udp("10.9.9.9:40000", "10.0.0.5:9");
        let frame = frame.payload(&payload).bytes();
        assert!(!is_in(&canary, &frame, elsewhere), "in another's mirror");
    }

    #[test]
    fn a_source_that_does_not_listen_quotes_it() {
        let canary = Canary::new(PORT);
        let source: IpAddr = "10.0.0.5".parse().unwrap();
        let sent = Frame::udp("10.9.9.9:40000", "10.0.0.5:9");
        let sent = sent.payload(&canary.payload(source, 1)).bytes();
        // Without the link header, as routers and hosts quote.
        let quoted = &sent[14..];
        for (what, quoted, expected) in [
            ("whole", quoted, true),
            ("without its payload", &quoted[..28], false),
        ] {
            let mut error = [3, 3, 0, 0, 0, 0, 0, 0].to_vec();
            error.extend(quoted);
            let frame = icmp(&error);
            assert_eq!(is_in(&canary, &frame, source), expected, "{what}");
        }
    }

    /// From the source, with this after the IP header.
    fn icmp(message: &[u8]) -> Vec<u8> {
        let mut frame = Frame::udp("10.0.0.5:1", "10.9.9.9:2")
            .payload(message)
            .bytes();
        // The UDP header goes, and the protocol is another one.
        frame.drain(34..42);
        let length = u16::try_from(20 + message.len()).unwrap();
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[23] = 1;
        frame
    }

    fn is_in(canary: &Canary, frame: &[u8], source: IpAddr) -> bool {
        let mut view = FrameView::default();
        read_frame(frame, u32::try_from(frame.len()).unwrap(), &mut view);
        canary.is_in(&view, frame, source)
    }
}
