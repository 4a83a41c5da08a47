//! What one source's traffic showed: bytes by category, flows, relevant events, edges.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

macro_rules! names {
    (
        $(#[$about:meta])*
        $Name:ident { $($(#[$doc:meta])* $Variant:ident = $name:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $Name {
            $($(#[$doc])* #[serde(rename = $name)] $Variant,)*
        }

        impl $Name {
            /// All of them, in the order of the arrays of [`Signals`].
            pub const ALL: &'static [Self] = &[$(Self::$Variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in records, configuration and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)*
                }
            }

            /// Position in [`Self::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

names! {
    /// Which way bytes cross the mirrored interface.
    Direction {
        /// Towards it.
        Ingress = "ingress",
        /// Away from it.
        Egress = "egress",
        /// Neither address nor MAC tells.
        Unknown = "unknown",
    }
}

names! {
    /// What traffic is for; every byte is in exactly one.
    Category {
        /// Name resolution.
        Dns = "dns",
        /// Remote administration: SSH, RDP, WinRM, SNMP, VNC, Telnet.
        Management = "management",
        /// Directories and authentication: LDAP, Kerberos, RADIUS.
        Directory = "directory",
        /// HTTP, HTTPS, QUIC.
        Web = "web",
        /// SQL and other stores.
        Database = "database",
        /// File services: SMB, NFS, FTP, rsync.
        File = "file",
        /// Long transfers that nobody can look into: encrypted or unknown, and large.
        OpaqueBulk = "opaque_bulk",
        /// What a machine of this role should never do.
        Never = "never",
        /// Attempts that nobody answered.
        Scan = "scan",
        /// The rest.
        Other = "other",
    }
}

names! {
    /// A relevant event: what makes a mirror worth its price.
    EventKind {
        /// A (peer, protocol, served port) not seen in 14 days.
        FirstEdge = "first_edge",
        /// A port of the source answered for the first time in 14 days.
        NewService = "new_service",
        /// A name asked for the first time in 14 days, by its registered domain.
        FirstDomain = "first_domain",
        /// Ten distinct peers or ports that failed within 5 minutes.
        ManyFailures = "many_failures",
        /// Traffic on a port that this role should never use.
        NeverHit = "never_hit",
        /// A new management flow.
        ManagementLogin = "management_login",
        /// A new flow of a protocol that shows its passwords: FTP, Telnet, POP3, IMAP, LDAP.
        CleartextLogin = "cleartext_login",
        /// An intrusion detector named this source.
        Alert = "alert",
    }
}

names! {
    /// Transport of an edge.
    Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// ICMP of either family.
        Icmp = "icmp",
        /// Anything else.
        Other = "other",
    }
}

/// Events told one by one in a tick, at most; more are only counted.
pub const SIGHTINGS_MAX: usize = 32;
/// Edges to other mirrored sources told in a tick, at most; more are only counted.
pub const EDGES_MAX: usize = 32;

/// What a source showed. Counters are cumulative over the epoch; the two lists are of the tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signals {
    /// Frames.
    pub packets: u64,
    /// Captured layer-2 bytes by [`Direction`] and [`Category`]. With `undecided` their sum is all
    /// bytes; no cell ever shrinks.
    pub bytes: [[u64; Category::COUNT]; Direction::COUNT],
    /// Captured bytes of flows that nobody answered yet: at most seven packets each, which get
    /// their category with the answer or the end of the flow. Not cumulative.
    #[serde(default)]
    pub undecided: u64,
    /// Flows opened.
    pub flows: u64,
    /// Flows that closed without an answer or were refused.
    pub failed: u64,
    /// DNS queries.
    pub dns_queries: u64,
    /// Frames cut before they reached us.
    pub truncated: u64,
    /// Relevant events by [`EventKind`].
    pub events: [u64; EventKind::COUNT],
    /// Whether the memory for "seen before" is full, so that "new" can no longer be told.
    pub saturated: bool,
    /// The events of this tick, the first [`SIGHTINGS_MAX`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<Sighting>,
    /// Events that found no room in `sightings`, cumulative.
    pub sightings_omitted: u64,
    /// How canaries through its mirror fared, where any are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryReport>,
    /// Who among the mirrored sources it had flows with in this tick.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// Edges that found no room in `edges`, cumulative.
    pub edges_omitted: u64,
}

/// Canaries through the mirror of one source, since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryReport {
    /// Sent to it.
    pub sent: u64,
    /// Copies that came, of them or of what the source answered to them.
    pub returned: u64,
    /// When the one was sent since which nothing at all came, although it should have come back by
    /// now and earlier ones did, µs since 1970; 0: all is well, or nobody knows.
    pub missed_at: u64,
}

/// One relevant event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// What it is.
    pub kind: EventKind,
    /// The other side, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Transport.
    pub protocol: Protocol,
    /// The port that serves; 0 if there is none.
    pub port: u16,
}

/// Flows of the tick with another mirrored source, by the address of its mirror session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The other source's address.
    pub peer: IpAddr,
    /// Transport.
    pub protocol: Protocol,
    /// The port that serves; 0 if there is none.
    pub port: u16,
    /// Whether the peer opened them.
    pub inbound: bool,
    /// How many were opened.
    pub flows: u32,
}

impl Signals {
    /// Captured bytes, all directions and categories, without what is undecided.
    #[must_use]
    pub fn bytes_sum(&self) -> u64 {
        self.bytes.iter().flatten().sum()
    }

    /// Captured bytes of one category.
    #[must_use]
    pub fn bytes_of(&self, category: Category) -> u64 {
        self.bytes.iter().map(|row| row[category.index()]).sum()
    }

    /// Relevant events of one kind.
    #[must_use]
    pub fn events_of(&self, kind: EventKind) -> u64 {
        self.events[kind.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_every_cell_once() {
        let mut signals = Signals::default();
        for (direction, row) in signals.bytes.iter_mut().enumerate() {
            for (category, cell) in row.iter_mut().enumerate() {
                *cell = 1 << (10 * direction + category);
            }
        }
        assert_eq!(signals.bytes_sum(), (1 << 30) - 1);
        assert_eq!(signals.bytes_of(Category::Dns), 1 + (1 << 10) + (1 << 20));
    }

    #[test]
    fn signals_come_back_from_their_json() {
        let signals = Signals {
            packets: 3,
            events: [1; EventKind::COUNT],
            sightings: vec![Sighting {
                kind: EventKind::NeverHit,
                peer: Some(IpAddr::from([10, 0, 0, 1])),
                protocol: Protocol::Tcp,
                port: 21,
            }],
            ..Signals::default()
        };
        let json = serde_json::to_string(&signals).unwrap();
        assert!(json.contains(r#""kind":"never_hit""#), "{json}");
        assert_eq!(serde_json::from_str::<Signals>(&json).unwrap(), signals);
    }
}
