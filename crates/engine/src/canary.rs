//! A canary through a mirror: one small datagram to a mirrored source, whose copy has to come back.
//!
//! Its token is a keyed hash of who sends it to whom and of its round: nobody else makes one, and
//! one that was seen hides nothing but itself on its way again, neither another peer nor a byte
//! behind it. Its copy, and that of the source's "port unreachable", belong to no flow: they are
//! counted like every packet, and are evidence of nothing but that the mirror works.

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

/// Of whom one is, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    pub(crate) sensor: IpAddr,
    pub(crate) source: IpAddr,
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

    /// That of a round.
    pub(crate) fn payload(&self, way: Way, round: u64) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let token = self.key.hash_one((way, round)).to_be_bytes();
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
        let (from, to) = view.tuple.addresses.pair();
        let (sensor, end, offset) = match (view.tuple.protocol, view.icmp_type) {
            (UDP, _) if view.tuple.destination_port == self.port => {
                (from, to, transport + UDP_HEADER)
            }
            ICMP => {
                let quoted = transport + ERROR_HEADER;
                let header = frame
                    .get(quoted)
                    .map_or(0, |byte| usize::from(byte & 15) * 4);
                (to, from, quoted + header + UDP_HEADER)
            }
            ICMPV6 => (to, from, transport + ERROR_HEADER + 40 + UDP_HEADER),
            _ => return false,
        };
        end == source && self.ends(frame, offset, Way { sensor, source })
    }

    /// Whether one is there, and nothing behind it.
    fn ends(&self, frame: &[u8], offset: usize, way: Way) -> bool {
        let bytes = frame.get(offset..).unwrap_or_default();
        bytes.len() == BYTES && bytes.starts_with(&MAGIC) && {
            let round = bytes.get(MAGIC.len()..).and_then(<[u8]>::first_chunk);
            let round = round.map_or(0, |round| u64::from_be_bytes(*round));
            bytes == self.payload(way, round)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_testkit::Frame;
    use vxscope_wire::read_frame;

    const PORT: u16 = 9;

    fn way() -> Way {
        Way {
            sensor: "10.9.9.9".parse().unwrap(),
            source: "10.0.0.5".parse().unwrap(),
        }
    }

    #[test]
    fn only_a_token_of_this_run_on_its_own_way_is_one() {
        let canary = Canary::new(PORT);
        let payload = canary.payload(way(), 7);
        let mut forged = payload;
        forged[BYTES - 1] ^= 1;
        let longer = [&payload[..], b"secret"].concat();
        let other = Canary::new(PORT).payload(way(), 7);
        let (sensor, source) = ("10.9.9.9:40000", "10.0.0.5:9");
        let table: [(&str, &str, &str, &[u8], bool); 11] = [
            ("it", sensor, source, &payload, true),
            ("from another port", "10.9.9.9:1", source, &payload, true),
            ("another port", sensor, "10.0.0.5:53", &payload, false),
            ("back", source, "10.9.9.9:9", &payload, false),
            ("to somebody else", source, "203.0.113.7:9", &payload, false),
            (
                "by somebody else",
                "10.9.9.8:40000",
                source,
                &payload,
                false,
            ),
            ("a forged token", sensor, source, &forged, false),
            ("with more behind it", sensor, source, &longer, false),
            ("of another run", sensor, source, &other, false),
            ("cut off", sensor, source, &payload[..BYTES - 1], false),
            ("no canary", sensor, source, &[b'v'; BYTES], false),
        ];
        for (what, from, to, payload, expected) in table {
            let frame = Frame::udp(from, to).payload(payload).bytes();
            assert_eq!(is_in(&canary, &frame), expected, "{what}");
        }
        let elsewhere = Way {
            source: "10.0.0.6".parse().unwrap(),
            ..way()
        };
        let payload = canary.payload(elsewhere, 7);
        let frame = Frame::udp(sensor, "10.0.0.6:9").payload(&payload).bytes();
        assert!(!is_in(&canary, &frame), "in another's mirror");
    }

    #[test]
    fn a_source_that_does_not_listen_quotes_it() {
        let canary = Canary::new(PORT);
        let sent = Frame::udp("10.9.9.9:40000", "10.0.0.5:9");
        let sent = sent.payload(&canary.payload(way(), 1)).bytes();
        // Without the link header, as routers and hosts quote.
        let quoted = &sent[14..];
        let longer = [quoted, b"secret"].concat();
        for (what, to, quoted, expected) in [
            ("whole", "10.9.9.9:2", quoted, true),
            ("without its payload", "10.9.9.9:2", &quoted[..28], false),
            ("with more behind it", "10.9.9.9:2", &longer[..], false),
            ("to somebody else", "203.0.113.7:2", quoted, false),
        ] {
            let mut error = [3, 3, 0, 0, 0, 0, 0, 0].to_vec();
            error.extend(quoted);
            let frame = icmp(to, &error);
            assert_eq!(is_in(&canary, &frame), expected, "{what}");
        }
    }

    /// From the source, with this after the IP header.
    fn icmp(to: &str, message: &[u8]) -> Vec<u8> {
        let mut frame = Frame::udp("10.0.0.5:1", to).payload(message).bytes();
        // The UDP header goes, and the protocol is another one.
        frame.drain(34..42);
        let length = u16::try_from(20 + message.len()).unwrap();
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[23] = 1;
        frame
    }

    fn is_in(canary: &Canary, frame: &[u8]) -> bool {
        let mut view = FrameView::default();
        read_frame(frame, u32::try_from(frame.len()).unwrap(), &mut view);
        canary.is_in(&view, frame, way().source)
    }
}
