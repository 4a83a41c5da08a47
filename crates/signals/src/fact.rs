//! What a worker tells about a flow or a DNS message; what it means, the [`Book`] decides.
//!
//! [`Book`]: crate::Book

use std::net::IpAddr;

use vxscope_flow::{Crossing, FlowSoFar, Packet};
use vxscope_report::Protocol;
use vxscope_units::{MirrorSource, Timestamp};
use vxscope_wire::protocol;

use crate::role::RoleId;
use crate::service::service_port;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// Somebody talked: the other side answered, or it is traffic that nobody answers.
    Conversation {
        /// Whether both sides were seen.
        answered: bool,
    },
    /// Nobody answered an attempt, or it was refused.
    Failure,
    /// Somebody tries what this role never serves.
    NeverHit {
        /// The role.
        role: RoleId,
    },
    /// A DNS message named a domain.
    Domain {
        /// Hash of the registered domain.
        hash: u64,
    },
}

/// One fact about one source's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What happened.
    pub kind: FactKind,
    /// On whose mirror.
    pub mirror: MirrorSource,
    /// The flow's id; 0 for a domain.
    pub flow_id: u64,
    /// Who opened the conversation, or asks.
    pub originator: IpAddr,
    /// Who was to answer.
    pub responder: IpAddr,
    /// The originator's port; ICMP: the type.
    pub originator_port: u16,
    /// The responder's port; ICMP: the answer's type.
    pub responder_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// How the originator's packets cross the mirrored interface.
    pub crossing: Crossing,
    /// The worker's clock.
    pub now: Timestamp,
    /// Position in the input: the order of facts.
    pub at: u64,
}

impl Fact {
    pub(crate) fn of(flow: &FlowSoFar, kind: FactKind) -> Self {
        Self {
            kind,
            mirror: flow.mirror,
            flow_id: flow.flow_id,
            originator: flow.originator,
            responder: flow.responder,
            originator_port: flow.originator_port,
            responder_port: flow.responder_port,
            protocol: flow.protocol,
            crossing: flow.crossing,
            now: flow.now,
            at: flow.at,
        }
    }

    /// A DNS message in a frame names a domain. The originator is who asks.
    #[must_use]
    pub fn of_domain(packet: &Packet, is_query: bool, hash: u64) -> Self {
        let tuple = &packet.view.tuple;
        let (sender, receiver) = tuple.addresses.pair();
        let ports = (tuple.source_port, tuple.destination_port);
        let ((originator, responder), (originator_port, responder_port), crossing) = if is_query {
            ((sender, receiver), ports, packet.crossing)
        } else {
            let ports = (ports.1, ports.0);
            ((receiver, sender), ports, packet.crossing.reversed())
        };
        Self {
            kind: FactKind::Domain { hash },
            mirror: packet.mirror,
            flow_id: 0,
            originator,
            responder,
            originator_port,
            responder_port,
            protocol: tuple.protocol,
            crossing,
            now: packet.now,
            at: packet.index,
        }
    }

    /// Order of facts, whatever the number of workers.
    #[must_use]
    pub fn order(&self) -> (u64, u64) {
        (self.at, self.flow_id)
    }

    /// Who is not the mirrored interface; the responder where nobody knows which side that is.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        match self.crossing {
            Crossing::Ingress => self.originator,
            Crossing::Egress | Crossing::Unknown => self.responder,
        }
    }

    /// Who is not the peer.
    pub(crate) fn own(&self) -> IpAddr {
        match self.crossing {
            Crossing::Ingress => self.responder,
            Crossing::Egress | Crossing::Unknown => self.originator,
        }
    }

    /// Whether the peer opened it.
    #[must_use]
    pub fn is_inbound(&self) -> bool {
        self.crossing == Crossing::Ingress
    }

    /// The port that serves; 0 if there is none.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self.kind {
            // The role names it, whatever the table of services says.
            FactKind::NeverHit { .. } => self.responder_port,
            FactKind::Conversation { .. } | FactKind::Failure | FactKind::Domain { .. } => {
                service_port(self.protocol, self.responder_port)
            }
        }
    }

    /// The transport, as reports name it.
    #[must_use]
    pub fn transport(&self) -> Protocol {
        match self.protocol {
            protocol::TCP => Protocol::Tcp,
            protocol::UDP => Protocol::Udp,
            protocol::ICMP | protocol::ICMPV6 => Protocol::Icmp,
            _ => Protocol::Other,
        }
    }
}
