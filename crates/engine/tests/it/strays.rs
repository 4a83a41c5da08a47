//! Frames that arrive at another worker than that of their flow find it.

use vxscope_testkit::{Frame, Vxlan};

use crate::support::live::live;
use crate::support::run::config;

/// Conversations of each test.
const FLOWS: u16 = 200;

#[test]
fn later_fragments_join_the_whole_packets_of_their_flow() {
    let frames = (0..FLOWS).flat_map(|flow| {
        let (client, server) = (format!("10.1.0.1:{}", 10_000 + flow), "10.1.0.2:53");
        let there = Frame::udp(&client, server).payload(&[7; 3_000]);
        let back = Frame::udp(server, &client).payload(b"answer").bytes();
        let there = there.id(flow.into()).fragments(1_400);
        there.into_iter().chain([back])
    });
    check(0, frames.collect(), 3 + 1);
}

#[test]
fn frames_in_nested_tunnels_meet_whatever_ports_the_tunnels_have() {
    let frames = (0..FLOWS).flat_map(|flow| {
        let frame = Frame::tcp(&format!("10.1.0.1:{}", 10_000 + flow), "10.1.0.2:443");
        let nested = |port| {
            let tunnel = Vxlan::new("192.0.2.1", 77).source_port(port);
            tunnel.wrap(&frame.bytes())
        };
        [nested(50_000 + flow), nested(60_000 + flow)]
    });
    check(1, frames.collect(), 2);
}

/// All frames of each conversation are one flow, whatever the number of workers.
fn check(depth: u8, frames: Vec<Vec<u8>>, packets_each: u64) {
    for workers in [2, 3] {
        let mut config = config(4 << 20, workers);
        config.decapsulation.depth = depth;
        let (outcome, started) = live(config, |sensor| sensor.send(1, frames.clone()));
        let totals = outcome.statement.totals();
        assert_eq!(
            totals.packets,
            packets_each * u64::from(FLOWS),
            "{workers} workers"
        );
        assert_eq!(totals.flows, u64::from(FLOWS), "{workers} workers");
        assert_eq!(totals.tracked, totals.packets);
        let strays = outcome.statement.strays;
        assert!(strays.sent > u64::from(FLOWS) / 4, "{strays:?}");
        assert_eq!((strays.received, strays.shed), (strays.sent, 0));
        assert_eq!(
            started.warnings.iter().any(|it| it.contains("depth")),
            depth > 0
        );
    }
}
