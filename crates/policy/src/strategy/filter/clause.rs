//! What one rule can say about packets: direction, two blocks, a protocol, two ranges of ports.

use std::fmt;
use std::net::IpAddr;

use super::net::{Family, Net};
use super::ports::Ports;

/// TCP's protocol number.
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;
/// ICMP's protocol number.
pub const ICMP: u8 = 1;
/// ICMPv6's protocol number.
pub const ICMPV6: u8 = 58;

/// Which way a packet crosses the mirrored interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Towards it.
    Ingress,
    /// Away from it.
    Egress,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The name that EC2 uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// A packet, as far as a filter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Which way it goes.
    pub direction: Direction,
    /// Sender.
    pub source: IpAddr,
    /// Receiver, of the same family.
    pub destination: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// Sender's port; of no meaning but with TCP and UDP.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Whether it belongs to the resolver of the VPC, which rules do not concern.
    pub amazon_dns: bool,
}

/// A set of packets that one rule can name.
///
/// Ports are narrowed only with TCP or UDP (EC2 API, `CreateTrafficMirrorFilterRule`), and both
/// blocks are of one family; the constructors see to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clause {
    direction: Direction,
    protocol: Option<u8>,
    source: Net,
    source_ports: Ports,
    destination: Net,
    destination_ports: Ports,
}

impl Clause {
    /// Every packet of a direction and a family.
    #[must_use]
    pub const fn all(direction: Direction, family: Family) -> Self {
        Self {
            direction,
            protocol: None,
            source: Net::all(family),
            source_ports: Ports::ALL,
            destination: Net::all(family),
            destination_ports: Ports::ALL,
        }
    }

    /// Only this protocol; ports are those of TCP and UDP alone.
    #[must_use]
    pub fn of(self, protocol: u8) -> Self {
        let ports = matches!(protocol, TCP | UDP);
        Self {
            protocol: Some(protocol),
            source_ports: if ports { self.source_ports } else { Ports::ALL },
            destination_ports: if ports {
                self.destination_ports
            } else {
                Ports::ALL
            },
            ..self
        }
    }

    /// Only from these ports. No change unless the protocol is TCP or UDP.
    #[must_use]
    pub fn from_ports(self, ports: Ports) -> Self {
        match self.protocol {
            Some(TCP | UDP) => Self {
                source_ports: ports,
                ..self
            },
            _ => self,
        }
    }

    /// Only to these ports. No change unless the protocol is TCP or UDP.
    #[must_use]
    pub fn to_ports(self, ports: Ports) -> Self {
        match self.protocol {
            Some(TCP | UDP) => Self {
                destination_ports: ports,
                ..self
            },
            _ => self,
        }
    }

    /// Only from this block; `None` if it is of the other family.
    #[must_use]
    pub fn from_net(self, net: Net) -> Option<Self> {
        (net.family() == self.family()).then_some(Self {
            source: net,
            ..self
        })
    }

    /// Only to this block; `None` if it is of the other family.
    #[must_use]
    pub fn to_net(self, net: Net) -> Option<Self> {
        (net.family() == self.family()).then_some(Self {
            destination: net,
            ..self
        })
    }

    /// Which way its packets go.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Their IP version.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.source.family()
    }

    /// Their protocol; `None` is every one.
    #[must_use]
    pub const fn protocol(&self) -> Option<u8> {
        self.protocol
    }

    /// Where they come from.
    #[must_use]
    pub const fn source(&self) -> (Net, Ports) {
        (self.source, self.source_ports)
    }

    /// Where they go.
    #[must_use]
    pub const fn destination(&self) -> (Net, Ports) {
        (self.destination, self.destination_ports)
    }

    /// Whether a packet is among them. Whatever belongs to the resolver of the VPC is not: only the
    /// filter's network services decide on that.
    #[must_use]
    pub fn matches(&self, packet: &Packet) -> bool {
        let with_ports = matches!(packet.protocol, TCP | UDP);
        !packet.amazon_dns
            && self.direction == packet.direction
            && self.protocol.is_none_or(|one| one == packet.protocol)
            && self.source.contains(packet.source)
            && self.destination.contains(packet.destination)
            && (!with_ports
                || self.source_ports.contains(packet.source_port)
                    && self.destination_ports.contains(packet.destination_port))
    }

    /// Whether all packets of `other` are among its own.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.direction == other.direction
            && (self.protocol.is_none() || self.protocol == other.protocol)
            && self.source.covers(other.source)
            && self.destination.covers(other.destination)
            && self.source_ports.covers(other.source_ports)
            && self.destination_ports.covers(other.destination_ports)
    }

    /// The packets of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (Some(one), Some(two)) if one != two => return None,
            (one, two) => one.or(two),
        };
        (self.direction == other.direction).then_some(())?;
        Some(Self {
            direction: self.direction,
            protocol,
            source: self.source.intersection(other.source)?,
            source_ports: self.source_ports.intersection(other.source_ports)?,
            destination: self.destination.intersection(other.destination)?,
            destination_ports: self
                .destination_ports
                .intersection(other.destination_ports)?,
        })
    }

    /// The clause with the packets of both and no other, if one clause can say that.
    #[must_use]
    pub fn union(&self, other: &Self) -> Option<Self> {
        if self.covers(other) {
            return Some(*self);
        }
        if other.covers(self) {
            return Some(*other);
        }
        let joined = [
            Self {
                source: self.source.union(other.source).unwrap_or(self.source),
                ..*self
            },
            Self {
                destination: self
                    .destination
                    .union(other.destination)
                    .unwrap_or(self.destination),
                ..*self
            },
            Self {
                source_ports: self
                    .source_ports
                    .union(other.source_ports)
                    .unwrap_or(self.source_ports),
                ..*self
            },
            Self {
                destination_ports: self
                    .destination_ports
                    .union(other.destination_ports)
                    .unwrap_or(self.destination_ports),
                ..*self
            },
        ];
        // Joined along one dimension it is exact if the others were equal.
        joined
            .into_iter()
            .find(|one| one.covers(other) && self.differs_in_one(other))
    }

    fn differs_in_one(&self, other: &Self) -> bool {
        let differences = [
            self.direction != other.direction,
            self.protocol != other.protocol,
            self.source != other.source,
            self.destination != other.destination,
            self.source_ports != other.source_ports,
            self.destination_ports != other.destination_ports,
        ];
        differences.into_iter().filter(|differs| *differs).count() == 1
    }

    /// What would have to be accepted too for one clause to say both: the ports between them.
    #[must_use]
    pub fn gap(&self, other: &Self) -> Option<Self> {
        if !self.differs_in_one(other) {
            return None;
        }
        if self.source_ports == other.source_ports {
            let ports = self.destination_ports.gap(other.destination_ports)?;
            return Some(self.to_ports(ports));
        }
        let ports = self.source_ports.gap(other.source_ports)?;
        Some(self.from_ports(ports))
    }

    /// How many ports it names: those of the narrower end.
    #[must_use]
    pub fn ports(&self) -> u32 {
        self.source_ports
            .count()
            .min(self.destination_ports.count())
    }
}

/// `ingress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 443`.
impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.direction.name())?;
        match self.protocol {
            None => f.write_str(" any")?,
            Some(TCP) => f.write_str(" tcp")?,
            Some(UDP) => f.write_str(" udp")?,
            Some(ICMP) => f.write_str(" icmp")?,
            Some(ICMPV6) => f.write_str(" icmpv6")?,
            Some(other) => write!(f, " protocol {other}")?,
        }
        for (word, net, ports) in [
            ("from", self.source, self.source_ports),
            ("to", self.destination, self.destination_ports),
        ] {
            write!(f, " {word} {net}")?;
            if ports != Ports::ALL {
                write!(f, " port {ports}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_join_along_one_dimension() {
        let tcp = Clause::all(Direction::Ingress, Family::V4).of(TCP);
        let to = |first, last| tcp.to_ports(Ports::try_new(first, last).expect("a range"));
        check(&to(20, 21), &to(22, 23), Some("port 20-23"));
        check(&to(20, 23), &to(22, 30), Some("port 20-30"));
        check(&to(20, 21), &to(23, 23), None);
        check(&to(20, 21), &tcp.of(UDP).to_ports(Ports::one(22)), None);
        check(
            &tcp.to_ports(Ports::one(1)),
            &tcp.from_ports(Ports::one(1)),
            None,
        );
        check(
            &to(80, 80),
            &Clause::all(Direction::Ingress, Family::V4),
            Some("any from"),
        );
        check(
            &to(80, 80),
            &Clause::all(Direction::Egress, Family::V4),
            None,
        );
    }

    #[test]
    fn a_gap_is_what_lies_between() {
        let tcp = Clause::all(Direction::Ingress, Family::V4).of(TCP);
        let to = |port| tcp.to_ports(Ports::one(port));
        assert_eq!(to(443).gap(&to(445)), Some(to(444)));
        assert_eq!(to(443).gap(&to(444)), None);
        assert_eq!(to(443).gap(&tcp.from_ports(Ports::one(445))), None);
        assert_eq!(to(443).ports(), 1);
    }

    #[test]
    fn only_tcp_and_udp_have_ports() {
        let clause = Clause::all(Direction::Ingress, Family::V4);
        assert_eq!(clause.to_ports(Ports::one(1)), clause);
        assert_eq!(
            clause.of(TCP).to_ports(Ports::one(1)).of(ICMP),
            clause.of(ICMP)
        );
        assert_eq!(clause.from_net(Net::all(Family::V6)), None);
    }

    fn check(one: &Clause, two: &Clause, expected: Option<&str>) {
        let joined = one.union(two);
        assert_eq!(joined, two.union(one));
        match (joined, expected) {
            (Some(joined), Some(part)) => assert!(joined.to_string().contains(part), "{joined}"),
            (joined, expected) => {
                assert_eq!(joined.map(|one| one.to_string()).as_deref(), expected)
            }
        }
    }
}
