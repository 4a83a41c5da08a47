//! Flows and facts for the tests of this crate.

use std::net::IpAddr;

use vxscope_flow::{Crossing, FlowSoFar, Label};
use vxscope_units::{MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::protocol::TCP;

use crate::fact::{Fact, FactKind};

/// The mirrored machine.
pub(crate) const OWN: &str = "10.0.0.5";

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn mirror(own: &str) -> MirrorSource {
    MirrorSource {
        address: address(own),
        vni: Vni::ZERO,
    }
}

/// A flow that a peer opened to a port of the mirrored machine: nothing counted yet.
pub(crate) fn inbound(protocol: u8, port: u16) -> FlowSoFar {
    FlowSoFar {
        flow_id: 1,
        source: SourceId::default(),
        mirror: mirror(OWN),
        originator: address("10.0.0.9"),
        responder: address(OWN),
        originator_port: 40_000,
        responder_port: port,
        protocol,
        crossing: Crossing::Ingress,
        crossed: Crossing::Ingress,
        flipped: false,
        packets: 0,
        bytes: 0,
        originator_flags: 0,
        label: Label::NONE,
        now: Timestamp::new(1_000, 0),
        at: 1,
    }
}

/// A fact about a TCP flow to `port`, opened by the peer or by the mirrored machine.
pub(crate) fn fact(kind: FactKind, peer: &str, port: u16, is_inbound: bool) -> Fact {
    let flow = inbound(TCP, port);
    let flow = if is_inbound {
        FlowSoFar {
            originator: address(peer),
            ..flow
        }
    } else {
        FlowSoFar {
            originator: address(OWN),
            responder: address(peer),
            crossing: Crossing::Egress,
            ..flow
        }
    };
    Fact::of(&flow, kind)
}
