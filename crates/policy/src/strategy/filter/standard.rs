//! The ready filters: `STA - Mirror Filter - All`, `Moderate`, `Essential`, and the sentinels.

use super::clause::{Clause, Direction, TCP, UDP};
use super::compile::{Compiled, Layer, Request, Wanted, Widen};
use super::net::{Family, Net};
use super::ports::Ports;
use super::service::{Service, Use, request};

/// The system that a host runs, as far as it tells what should never happen to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// Linux and other Unix systems.
    #[default]
    Linux,
    /// Windows.
    Windows,
}

impl System {
    /// The name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }

    /// The system of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Linux, Self::Windows]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// What nobody has reason to try at such a host, the most telling first: SMB, RDP, NetBIOS and
    /// LDAP at Linux, SSH and NFS at Windows (AWS Traffic Mirroring strategies, "never" traffic).
    #[must_use]
    pub fn never(self) -> Vec<Service> {
        let tcp = |port| Service::tcp(Ports::one(port));
        match self {
            Self::Linux => vec![
                tcp(445),
                tcp(3389),
                tcp(389),
                // NetBIOS knows only IPv4 (RFC 1001).
                Service::tcp(range(137, 139)).with(Net::all(Family::V4)),
                Service::udp(range(137, 138)).with(Net::all(Family::V4)),
            ],
            Self::Windows => vec![tcp(22), tcp(2049), tcp(111)],
        }
    }
}

/// The ready filters, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standard {
    /// Everything.
    All,
    /// Everything but what servers answer over TLS and QUIC: most bytes, and no detector reads them.
    Moderate,
    /// DNS, management, and what should never happen on this system.
    Essential(System),
    /// DNS, and what should never happen on this system.
    Sentinel(System),
}

impl Standard {
    /// Each filter.
    pub const ALL: [Self; 6] = [
        Self::All,
        Self::Moderate,
        Self::Essential(System::Linux),
        Self::Essential(System::Windows),
        Self::Sentinel(System::Linux),
        Self::Sentinel(System::Windows),
    ];

    /// The name of the filter in EC2. The first three are what tags of Coralogix STA deployments
    /// refer to; a filter of the name that exists is used as it is, whatever its rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "STA - Mirror Filter - All",
            Self::Moderate => "STA - Mirror Filter - Moderate",
            Self::Essential(System::Linux) => "STA - Mirror Filter - Essential",
            Self::Essential(System::Windows) => "STA - Mirror Filter - Essential Windows",
            Self::Sentinel(System::Linux) => "STA - Mirror Filter - Sentinel Linux",
            Self::Sentinel(System::Windows) => "STA - Mirror Filter - Sentinel Windows",
        }
    }

    /// What it should mirror in networks of these families.
    #[must_use]
    pub fn request(self, families: &[Family]) -> Request {
        match self {
            Self::All => all(self.name(), families),
            Self::Moderate => moderate(families),
            Self::Essential(system) => request(
                self.name(),
                families,
                [
                    (Use::Asked, &DNS[..]),
                    (Use::Tried, &MANAGEMENT[..1]),
                    (Use::Tried, &system.never()),
                    (Use::Used, &DNS),
                    (Use::Tried, &MANAGEMENT),
                    (Use::Served, &MANAGEMENT),
                    (Use::Asked, &MANAGEMENT),
                ],
            ),
            Self::Sentinel(system) => request(
                self.name(),
                families,
                [
                    (Use::Asked, &DNS[..]),
                    (Use::Tried, &system.never()),
                    (Use::Used, &DNS),
                ],
            ),
        }
    }

    /// Its rules in networks of these families, and what did not fit.
    #[must_use]
    pub fn compile(self, families: &[Family]) -> Compiled {
        self.request(families).compile(Widen::Never)
    }
}

fn all(name: &str, families: &[Family]) -> Request {
    Request {
        name: name.to_owned(),
        amazon_dns: true,
        layers: vec![Layer {
            except: Vec::new(),
            accept: everything(families),
        }],
    }
}

/// Rejects answers from port 443: TCP in each direction and family first, QUIC where rules are
/// left. What a client says, its hello with the server's name too, is mirrored.
fn moderate(families: &[Family]) -> Request {
    let answers = |protocol: u8| {
        let answer = move |family: &Family, direction| {
            Clause::all(direction, *family)
                .of(protocol)
                .from_ports(Ports::one(443))
        };
        families
            .iter()
            .flat_map(move |family| Direction::BOTH.map(|direction| answer(family, direction)))
    };
    // With both families, QUIC of IPv6 has no room: 4 to accept, 4 for TCP, 2 for QUIC.
    let room = super::RULES_MAX - 2 * families.len() - answers(TCP).count();
    Request {
        name: Standard::Moderate.name().to_owned(),
        amazon_dns: true,
        layers: vec![Layer {
            except: answers(TCP).chain(answers(UDP).take(room)).collect(),
            accept: everything(families),
        }],
    }
}

fn everything(families: &[Family]) -> Vec<Wanted> {
    let each = families.iter().flat_map(|family| {
        Direction::BOTH.map(|direction| Wanted {
            clause: Clause::all(direction, *family),
            what: format!("all {}", direction.name()),
            rank: 0,
        })
    });
    each.collect()
}

/// DNS past the resolver of the VPC, which needs no rule. DNS over TCP is left out: sources that
/// resolve for themselves use it for answers that do not fit a datagram, and rules are few.
pub(crate) const DNS: [Service; 1] = [Service::udp(Ports::one(53))];

/// Remote administration, with the neighbours that one rule takes along: FTP, SSH and Telnet stand
/// side by side.
const MANAGEMENT: [Service; 3] = [
    Service::tcp(range(20, 23)),
    Service::tcp(Ports::one(3389)),
    Service::tcp(range(5985, 5986)),
];

const fn range(first: u16, last: u16) -> Ports {
    match Ports::try_new(first, last) {
        Some(ports) => ports,
        None => Ports::one(first),
    }
}
