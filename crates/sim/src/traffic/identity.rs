//! Who speaks in a flow: a function of the seed and the flow's number, so that nothing is stored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::spec::{Carrier, PORTS_MAX, Scenario, Spec};
use crate::random::hash;

/// First outer address of a mirror source.
const SOURCE_BASE: u32 = u32::from_be_bytes([10, 0, 0, 16]);
/// Sources on loopback have addresses from here, so many in each third octet.
const LOOPBACK_BASE: u32 = u32::from_be_bytes([127, 0, 0, 0]);
const LOOPBACK_ROW: u32 = 250;
/// First addresses of those who pretend to be sources.
const FORGED_BASE: u32 = u32::from_be_bytes([10, 254, 0, 1]);
const FORGED_LOOPBACK_BASE: u32 = u32::from_be_bytes([127, 254, 0, 1]);
/// How many addresses forgers use, and how many VNIs.
pub(crate) const FORGED: u32 = 16;
/// First address of those who speak with the sources.
const PEER_BASE: u32 = u32::from_be_bytes([172, 16, 0, 1]);
/// First address of those who are pinged, each by one flow: ICMP has no ports.
const PINGED_BASE: u32 = u32::from_be_bytes([64, 0, 0, 0]);
const SCANNER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// The address of every source inside, where addresses overlap.
const OVERLAP_INDEX: u32 = 0;
const FIRST_EPHEMERAL_PORT: u16 = 32_768;
/// First VNI; and the only one where all sessions share it.
const VNI_BASE: u32 = 1_169;
const SERVICES: [u16; 8] = [443, 443, 443, 80, 22, 3306, 5432, 6379];

/// How a flow speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TCP connection.
    Tcp,
    /// DNS queries and answers.
    Dns,
    /// ICMP echo.
    Echo,
    /// UDP datagrams in three IP fragments.
    Datagrams,
    /// A SYN to see whether a port is open.
    Probe,
}

/// The ends of a flow. *Local* is the mirrored interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The mirror source.
    pub(crate) source: u32,
    /// The mirror source at the other end, if that is one.
    pub(crate) twin: Option<u32>,
    pub(crate) kind: Kind,
    /// Who sends the first packet.
    pub(crate) local_starts: bool,
    pub(crate) local: (IpAddr, u16),
    pub(crate) remote: (IpAddr, u16),
    /// Random, and the flow's own.
    pub(crate) hash: u64,
}

/// The outer address of a source, and of its interface inside.
pub(crate) fn outer_address(carrier: Carrier, source: u32) -> Ipv4Addr {
    match carrier {
        Carrier::Capture | Carrier::Shared(_) => Ipv4Addr::from_bits(SOURCE_BASE + source),
        Carrier::Loopback => {
            let (third, fourth) = (source / LOOPBACK_ROW, 2 + source % LOOPBACK_ROW);
            Ipv4Addr::from_bits(LOOPBACK_BASE + (third << 8) + fourth)
        }
    }
}

/// The address that a sensor takes for the source's: outermost, or the one inside GENEVE.
pub(crate) fn mirror_address(spec: &Spec, source: u32) -> IpAddr {
    match spec.carrier {
        Carrier::Shared(address) if !spec.gwlb => address,
        carrier => IpAddr::V4(outer_address(carrier, source)),
    }
}

/// One of [`FORGED`] addresses of no source.
pub(crate) fn forged_address(carrier: Carrier, which: u32) -> Ipv4Addr {
    let base = match carrier {
        Carrier::Capture | Carrier::Shared(_) => FORGED_BASE,
        Carrier::Loopback => FORGED_LOOPBACK_BASE,
    };
    Ipv4Addr::from_bits(base + which)
}

/// One of [`FORGED`] VNIs of no source.
pub(crate) fn forged_vni(spec: &Spec, which: u32) -> u32 {
    VNI_BASE + spec.sources + which
}

/// The VNI of a source's session.
pub(crate) fn vni(spec: &Spec, source: u32) -> u32 {
    if spec.one_vni {
        VNI_BASE
    } else {
        VNI_BASE + source
    }
}

impl Identity {
    /// Of flow number `flow`.
    pub(crate) fn new(spec: &Spec, flow: u32) -> Self {
        let hash = hash(spec.seed, u64::from(flow));
        match spec.scenario {
            Scenario::Scan if flow % 2 == 1 => Self::probe(spec, flow / 2, hash),
            Scenario::Scan => Self::conversation(spec, flow / 2, hash),
            _ => Self::conversation(spec, flow, hash),
        }
    }

    fn probe(spec: &Spec, number: u32, hash: u64) -> Self {
        let target = inside(spec, 0, false);
        let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            source: 0,
            twin: None,
            kind: Kind::Probe,
            local_starts: false,
            local: (target, port(1 + number % 65_535)),
            remote: (IpAddr::V4(SCANNER), port(40_000 + number / 65_535)),
            hash,
        }
    }

    fn conversation(spec: &Spec, number: u32, hash: u64) -> Self {
        // Within its source, `own` makes the flow's ports and addresses unique.
        let (source, own) = (number % spec.sources, number / spec.sources);
        let twin = (spec.scenario == Scenario::EastWest).then(|| (source + 1) % spec.sources);
        let kind = kind(spec.scenario, hash);
        let ipv6 = share(hash >> 16) < spec.ipv6_share;
        let local_starts = twin.is_some() || hash & 1 == 1;
        let local = if spec.scenario == Scenario::Overlap {
            OVERLAP_INDEX
        } else {
            source
        };
        let local_address = inside(spec, local, ipv6);
        let remote_address = match (twin, kind) {
            (Some(twin), _) => inside(spec, twin, ipv6),
            (None, Kind::Echo) => address(PINGED_BASE, own, ipv6),
            (None, _) => address(PEER_BASE, own / PORTS_MAX * 16 + own % 16, ipv6),
        };
        let client = FIRST_EPHEMERAL_PORT + u16::try_from(own % PORTS_MAX).unwrap_or(0);
        let server = match kind {
            Kind::Dns => 53,
            Kind::Datagrams => 2_049,
            Kind::Tcp | Kind::Probe | Kind::Echo => service(hash),
        };
        let (local_port, remote_port) = if local_starts {
            (client, server)
        } else {
            (server, client)
        };
        Self {
            source,
            twin,
            kind,
            local_starts,
            local: (local_address, local_port),
            remote: (remote_address, remote_port),
            hash,
        }
    }
}

fn service(hash: u64) -> u16 {
    let [.., pick, _] = hash.to_be_bytes();
    SERVICES
        .get(usize::from(pick) % SERVICES.len())
        .copied()
        .unwrap_or(443)
}

/// 78 % TCP, 17 % DNS, 5 % echo.
fn kind(scenario: Scenario, hash: u64) -> Kind {
    let percent = (hash >> 32) % 100;
    match scenario {
        Scenario::Fragments if hash & 2 == 2 => Kind::Datagrams,
        // Two ends have one echo flow at most, whatever the number of pings.
        Scenario::EastWest if percent >= 95 => Kind::Dns,
        _ if percent < 78 => Kind::Tcp,
        _ if percent < 95 => Kind::Dns,
        _ => Kind::Echo,
    }
}

/// The lowest 16 bits as a share below 1.
fn share(bits: u64) -> f64 {
    f64::from((bits & 0xffff) as u16) / 65_536.0
}

/// The address of a mirrored interface: the outer one, or an IPv6 address made from its number.
fn inside(spec: &Spec, source: u32, ipv6: bool) -> IpAddr {
    if ipv6 {
        unique_local(0, source)
    } else {
        IpAddr::V4(outer_address(spec.carrier, source))
    }
}

fn address(base: u32, number: u32, ipv6: bool) -> IpAddr {
    if ipv6 {
        unique_local(base, number)
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(base + number))
    }
}

fn unique_local(net: u32, host: u32) -> IpAddr {
    let bits = (0xfd00 << 112) | (u128::from(net) << 64) | (u128::from(host) + 1);
    IpAddr::V6(Ipv6Addr::from_bits(bits))
}
