//! How many packets each flow has.

use super::conversation::Flow;
use super::identity::{Identity, Kind};
use super::spec::{Scenario, Spec};

/// Every flow with its number of packets, at least one. All together, and their copies where
/// every packet is seen twice, have as many as the specification says, or one too many.
pub(crate) fn flows(spec: &Spec) -> Vec<Flow> {
    let packets = match spec.scenario {
        Scenario::EastWest => spec.packets.div_ceil(2),
        _ => spec.packets,
    };
    let probes = probe_packets(spec, packets);
    let (conversations, elephants) = match spec.scenario {
        Scenario::Scan => (u64::from(spec.flows.div_ceil(2)), 0),
        Scenario::Elephant => (u64::from(spec.flows), (packets - u64::from(spec.flows)) / 2),
        _ => (u64::from(spec.flows), 0),
    };
    let answered = probes > u64::from(spec.flows / 2);
    let mut share = Share {
        left: packets - probes - elephants,
        flows: conversations,
    };
    let flows = (0..spec.flows).map(|number| {
        let identity = Identity::new(spec, number);
        let packets = match identity.kind {
            Kind::Probe => probe(&identity, answered),
            _ if number == 0 => share.next() + elephants,
            _ => share.next(),
        };
        Flow::new(&identity, u32::try_from(packets).unwrap_or(u32::MAX))
    });
    flows.collect()
}

/// Packets to be divided evenly.
struct Share {
    left: u64,
    flows: u64,
}

impl Share {
    fn next(&mut self) -> u64 {
        let packets = self.left.div_ceil(self.flows.max(1));
        self.left -= packets;
        self.flows = self.flows.saturating_sub(1);
        packets
    }
}

/// Packets of all probes: one each, and answers if that leaves enough for the conversations.
fn probe_packets(spec: &Spec, packets: u64) -> u64 {
    if spec.scenario != Scenario::Scan {
        return 0;
    }
    let identities = (0..spec.flows).map(|number| Identity::new(spec, number));
    let probes = identities.filter(|identity| identity.kind == Kind::Probe);
    let answered: u64 = probes.map(|identity| probe(&identity, true)).sum();
    let conversations = u64::from(spec.flows.div_ceil(2));
    if answered + conversations <= packets {
        answered
    } else {
        u64::from(spec.flows / 2)
    }
}

/// Half of the probes are answered.
fn probe(identity: &Identity, answered: bool) -> u64 {
    if answered && identity.hash & 1 == 1 {
        2
    } else {
        1
    }
}
