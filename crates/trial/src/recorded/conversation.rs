//! One conversation of one source.

use std::net::IpAddr;

use vxscope_signals::{served, service_port};
use vxscope_sim::random::hash;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
const FLAG_ACK: u8 = 0x10;

/// Which side opened it, seen from the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossed {
    /// The source opened it.
    Out,
    /// Somebody else did.
    In,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Number of the source.
    pub source: u32,
    /// First packet, ms since 1970.
    pub start: u64,
    /// Last packet, ms since 1970.
    pub end: u64,
    /// Bytes of both directions.
    pub bytes: u64,
    /// Packets of both directions.
    pub packets: u64,
    /// The other end.
    pub peer: IpAddr,
    /// The own end.
    pub own: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// Port that serves; 0 where nobody's for long.
    pub port: u16,
    /// Who opened it.
    pub crossed: Crossed,
    /// Whether both sides spoke.
    pub answered: bool,
    /// Whether it was an attempt that failed.
    pub failed: bool,
    /// Whether it hit a port that the source's role never serves.
    pub never: bool,
    /// The same for both ends and directions.
    pub tuple: u64,
}

/// A record of two directions, before anybody said which side is the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Address and port: who opened it, who was to answer.
    pub(super) ends: [(IpAddr, u16); 2],
    pub(super) protocol: u8,
    /// Of the opener and of the other.
    pub(super) packets: [u64; 2],
    pub(super) bytes: [u64; 2],
    /// TCP flags of each, ORed; 0 if not known.
    pub(super) flags: [u8; 2],
    pub(super) refused: bool,
    pub(super) never: bool,
}

impl Record {
    /// The conversation as a source sees it that has the opener's end (`Out`) or the other one.
    pub(super) fn of(&self, source: u32, crossed: Crossed) -> Conversation {
        let [opener, other] = self.ends;
        let (own, peer) = match crossed {
            Crossed::Out => (opener.0, other.0),
            Crossed::In => (other.0, opener.0),
        };
        let answered = self.packets.iter().all(|count| *count > 0);
        Conversation {
            source,
            start: self.start,
            end: self.end.max(self.start),
            bytes: self.bytes[0].saturating_add(self.bytes[1]),
            packets: self.packets[0].saturating_add(self.packets[1]),
            peer,
            own,
            protocol: self.protocol,
            port: service_port(self.protocol, other.1),
            crossed,
            answered,
            failed: self.failed(answered),
            never: self.never,
            tuple: self.tuple(),
        }
    }

    /// As the sensor judges flows: an attempt without answer, or a SYN that was refused.
    fn failed(&self, answered: bool) -> bool {
        let [opener, other] = self.flags;
        let other_end = self.ends[1];
        if self.never {
            return false;
        }
        match self.protocol {
            _ if self.refused => true,
            TCP if answered => {
                other & FLAG_RST != 0 && other & FLAG_SYN == 0 && opener & FLAG_SYN != 0
            }
            TCP => opener & FLAG_SYN != 0 && opener & FLAG_ACK == 0,
            UDP => !answered && !served(UDP, other_end.1).one_way && !is_group(other_end.0),
            _ => false,
        }
    }

    fn tuple(&self) -> u64 {
        let mut ends = self.ends.map(|(address, port)| {
            let bits = match address {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            halves(bits).into_iter().fold(u64::from(port), hash)
        });
        ends.sort_unstable();
        hash(hash(ends[0], ends[1]), u64::from(self.protocol))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_multicast() || address.is_broadcast() || address.octets()[3] == 255
        }
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// A number for an address, the families apart.
pub(super) fn number(address: IpAddr) -> u64 {
    let (bits, family) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 4),
        IpAddr::V6(address) => (address.to_bits(), 6),
    };
    halves(bits).into_iter().fold(family, hash)
}
