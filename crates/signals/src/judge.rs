//! What a flow is for and what it tells, at each of its milestones.
//!
//! | milestone | bytes so far | category from here on | told |
//! |---|---|---|---|
//! | opened, on a port the role never serves | – | never | never hit |
//! | opened, DNS or nothing one waits for | – | by the served port | |
//! | opened, else | – | undecided | |
//! | answered | the port's | by the served port | conversation |
//! | refused (SYN, then RST) | scan | scan | failure |
//! | seven packets unanswered: TCP without ACK, ICMP | scan | scan | failure |
//! | the same: else | the port's | by the served port | conversation |
//! | ended unanswered: an attempt | scan | | failure |
//! | ended unanswered: else | the port's | | conversation |
//! | large, encrypted or unknown | stay | opaque bulk | |
//!
//! Bytes of a flow whose category is known from the start stay in it: never, and DNS.

use std::net::IpAddr;

use vxscope_flow::{ATTEMPT_PACKETS_MAX, FlowSoFar, Label, Milestone};
use vxscope_report::Category;
use vxscope_wire::{flag, protocol};

use crate::fact::{Fact, FactKind};
use crate::label::{category_of, label_of};
use crate::role::{Role, RoleId};
use crate::service::{Service, served, service_port};

/// What becomes of a flow at a milestone.
#[derive(Clone, Copy, Debug)]
pub struct Ruling {
    /// Its label from now on; its bytes so far bear it, too, if they were undecided.
    pub label: Label,
    /// What to tell.
    pub fact: Option<Fact>,
}

/// Judges a flow at a milestone. `role` is that of the mirrored machine, if it has one.
#[must_use]
pub fn judge(flow: &FlowSoFar, milestone: Milestone, role: Option<(RoleId, &Role)>) -> Ruling {
    let service = service_of(flow);
    match milestone {
        Milestone::Opened => opened(flow, service, role),
        Milestone::Answered { tcp_flags } if is_refused(flow, tcp_flags) => failed(flow),
        Milestone::Answered { .. } => talked(flow, service, true),
        // Its packets cross elsewhere: what was undecided is decided, and the rest goes on.
        Milestone::OneWay if flow.packets < u64::from(ATTEMPT_PACKETS_MAX) => Ruling {
            label: decided(flow, label_of(service.category)).for_now(),
            fact: None,
        },
        Milestone::OneWay if flow.protocol != protocol::UDP && is_attempt(flow, service) => {
            failed(flow)
        }
        Milestone::Ended if is_attempt(flow, service) => failed(flow),
        Milestone::OneWay | Milestone::Ended => talked(flow, service, false),
        Milestone::Large => large(flow, service),
    }
}

fn service_of(flow: &FlowSoFar) -> Service {
    served(
        flow.protocol,
        service_port(flow.protocol, flow.responder_port),
    )
}

fn opened(flow: &FlowSoFar, service: Service, role: Option<(RoleId, &Role)>) -> Ruling {
    if flow.crossing == vxscope_flow::Crossing::Ingress
        && let Some((id, role)) = role
        && role.is_never(flow.protocol, flow.responder_port)
    {
        return Ruling {
            label: label_of(Category::Never).for_now(),
            fact: Some(Fact::of(flow, FactKind::NeverHit { role: id })),
        };
    }
    let waits = match flow.protocol {
        protocol::TCP => true,
        protocol::UDP => !service.one_way && !is_group(flow.responder),
        protocol::ICMP | protocol::ICMPV6 => is_request(flow),
        _ => false,
    };
    let label = if is_message(flow) {
        // Nobody connects with an error or a neighbour's advertisement.
        label_of(Category::Other)
    } else if waits && service.category != Category::Dns {
        Label::UNDECIDED
    } else {
        label_of(service.category).for_now()
    };
    Ruling { label, fact: None }
}

fn talked(flow: &FlowSoFar, service: Service, answered: bool) -> Ruling {
    Ruling {
        label: decided(flow, label_of(service.category)),
        fact: Some(Fact::of(flow, FactKind::Conversation { answered })),
    }
}

fn failed(flow: &FlowSoFar) -> Ruling {
    Ruling {
        label: decided(flow, label_of(Category::Scan)),
        fact: Some(Fact::of(flow, FactKind::Failure)),
    }
}

/// A label that was given stays.
fn decided(flow: &FlowSoFar, label: Label) -> Label {
    category_of(flow.label).map_or(label, label_of)
}

fn large(flow: &FlowSoFar, service: Service) -> Ruling {
    let hides = match category_of(flow.label) {
        Some(Category::Dns | Category::Never | Category::Scan) | None => false,
        Some(_) => service.opaque,
    };
    let label = if hides {
        label_of(Category::OpaqueBulk)
    } else {
        flow.label
    };
    Ruling { label, fact: None }
}

/// RST is the answer to a SYN.
fn is_refused(flow: &FlowSoFar, tcp_flags: u8) -> bool {
    let syn = flow.originator_flags & (flag::SYN | flag::ACK) == flag::SYN;
    flow.protocol == protocol::TCP && !flow.flipped && syn && tcp_flags & flag::RST != 0
}

/// Whether an unanswered flow was meant to be answered. Whoever acknowledges was answered, out of
/// our sight.
fn is_attempt(flow: &FlowSoFar, service: Service) -> bool {
    match flow.protocol {
        protocol::TCP => {
            let flags = flow.originator_flags;
            !flow.flipped && flags & flag::ACK == 0 && flags != flag::RST
        }
        protocol::UDP => !flow.flipped && !service.one_way && !is_group(flow.responder),
        protocol::ICMP | protocol::ICMPV6 => is_request(flow),
        _ => false,
    }
}

/// ICMP that is answered: echo, timestamp, information and mask requests (RFC 792, 950), and echo
/// of IPv6 (RFC 4443).
fn is_request(flow: &FlowSoFar) -> bool {
    match flow.protocol {
        protocol::ICMP => matches!(flow.originator_port, 8 | 13 | 15 | 17),
        protocol::ICMPV6 => flow.originator_port == 128,
        _ => false,
    }
}

/// ICMP that nobody answers.
fn is_message(flow: &FlowSoFar) -> bool {
    matches!(flow.protocol, protocol::ICMP | protocol::ICMPV6) && !is_request(flow)
}

/// Whether an address is many machines': multicast or broadcast.
fn is_group(address: IpAddr) -> bool {
    match address {
        // Which address is a subnet's broadcast nobody knows here; .255 is nearly always one.
        IpAddr::V4(address) => {
            address.is_multicast() || address.is_broadcast() || address.octets()[3] == 255
        }
        IpAddr::V6(address) => address.is_multicast(),
    }
}

#[cfg(test)]
mod tests;
