//! The flow table as a whole: what opens, joins, ends and evicts flows, and for whom.

mod milestone;
mod search;

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use vxscope_units::{MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::{Addresses, Class, Fragment, FrameView, TcpSegment, Tuple, flag, protocol};

use crate::ring::RingSizes;
use crate::{
    CloseReason, Closing, Crossing, FlowLimits, FlowRecord, FlowScope, FlowSoFar, Flows, Label,
    Milestone, Observed, Packet, Prepared, StoredFrames, Timeouts, Untracked,
};

#[test]
fn both_directions_are_one_flow_with_counts_of_each() {
    let mut table = Harness::new(limits());
    table.udp(10, 1, (1, 1000), (2, 53), 100);
    table.udp(11, 1, (2, 53), (1, 1000), 300);
    let records = table.finish();
    let [record] = &records[..] else {
        panic!("one flow, not {}", records.len())
    };
    assert_eq!((record.forward.packets, record.reverse.packets), (1, 1));
    assert_eq!((record.forward.bytes, record.reverse.bytes), (100, 300));
    assert_eq!((record.originator_port, record.responder_port), (1000, 53));
    assert_eq!(record.reason, CloseReason::Shutdown);
    assert_eq!(record.conn_state.name(), "SF");
    assert!(record.flow_id < 1 << 53);
}

#[test]
fn one_conversation_on_two_sources_is_two_flows_unless_the_vni_is_the_scope() {
    for (scope, expected) in [(FlowScope::Source, 2), (FlowScope::Vni, 1)] {
        let mut table = Harness::new(FlowLimits { scope, ..limits() });
        table.udp(10, 1, (1, 1000), (2, 53), 100);
        table.udp(10, 2, (1, 1000), (2, 53), 100);
        assert_eq!(table.finish().len(), expected, "{scope:?}");
    }
}

#[test]
fn a_silent_flow_ends_at_its_timeout_and_not_before() {
    // One side only: 30 s; the last packet's second is rounded down, so one more is waited.
    let mut table = Harness::new(limits());
    table.udp(10, 1, (1, 1000), (2, 53), 100);
    table.tick(40);
    assert_eq!(table.closed.len(), 0);
    table.tick(41);
    assert_eq!(table.closed[0].reason, CloseReason::Idle);
    assert_eq!(table.closed[0].closed, Timestamp::new(41, 0));
}

#[test]
fn an_answered_flow_lives_longer() {
    let mut table = Harness::new(limits());
    table.udp(10, 1, (1, 1000), (2, 53), 100);
    table.udp(10, 1, (2, 53), (1, 1000), 100);
    table.tick(300);
    assert_eq!(table.closed.len(), 0);
    table.tick(311);
    assert_eq!(table.closed.len(), 1);
}

#[test]
fn stamps_that_jump_neither_end_a_flow_nor_start_another() {
    // Live, stamps are the wall clock's and the worker's own clock is the monotonic one.
    let mut table = Harness::new(limits());
    for (second, stamp) in [
        (10, 10),
        (12, 90_000),
        (14, 3),
        (16, 0),
        (18, 4_000_000_000),
    ] {
        let view = view(protocol::UDP, (1, 1000), (2, 53), 100);
        table.observe_stamped(second, Timestamp::new(stamp, 0), 1, view);
        table.tick(second + 1);
    }
    assert_eq!(table.closed.len(), 0);
    let [record] = &table.finish()[..] else {
        panic!("{:?}", table.closed)
    };
    assert_eq!(record.forward.packets, 5);
    assert!(record.start <= record.end);
}

#[test]
fn a_closed_connection_absorbs_late_packets_and_ends_early_by_fin() {
    let mut table = Harness::new(limits());
    table.connection(10);
    table.tcp(11, (1, 1000), (2, 80), flag::ACK, 100);
    table.tick(60);
    assert_eq!(
        table.closed.len(),
        0,
        "the late packet is at 11 s, the timeout is 60 s"
    );
    table.tick(72);
    let [record] = &table.closed[..] else {
        panic!("one flow")
    };
    assert_eq!(record.reason, CloseReason::Fin);
    assert_eq!(record.late_packets, 1);
    assert_eq!(record.forward.packets + record.reverse.packets, 8);
}

#[test]
fn a_syn_on_a_closed_connection_opens_a_new_flow() {
    let mut table = Harness::new(limits());
    table.connection(10);
    let observed = table.tcp(12, (1, 1000), (2, 80), flag::SYN, 9_000);
    assert!(observed.opened);
    let records = table.finish();
    assert_eq!(records[0].reason, CloseReason::TcpReuse);
    assert_eq!(records[1].reason, CloseReason::Shutdown);
    assert_ne!(records[0].flow_id, records[1].flow_id);
    assert_eq!(records[1].forward.packets, 1);
}

#[test]
fn a_flow_at_the_active_timeout_is_reported_and_goes_on() {
    let mut table = Harness::new(FlowLimits {
        active_timeout: 20,
        ..limits()
    });
    for second in 10..50 {
        table.tick(second);
        table.udp(second, 1, (1, 1000), (2, 53), 100);
    }
    let records = table.finish();
    let reasons: Vec<_> = records.iter().map(|record| record.reason).collect();
    assert_eq!(reasons, [CloseReason::Active, CloseReason::Shutdown]);
    let packets: u64 = records.iter().map(|record| record.forward.packets).sum();
    assert_eq!(packets, 40, "every packet is in one record");
}

#[test]
fn a_clock_beyond_32_bits_of_seconds_stands_still() {
    let mut table = Harness::new(limits());
    let late = u64::from(u32::MAX) + 1_000;
    table.tick(late);
    table.udp(late, 1, (1, 1000), (2, 53), 100);
    table.tick(late + 10_000);
    assert_eq!(table.closed.len(), 0);
    assert_eq!(table.finish().len(), 1);
}

#[test]
fn a_full_table_gives_up_the_longest_silent_of_its_candidates() {
    let mut table = Harness::new(FlowLimits {
        flows_max: 8,
        source_flows_max: 8,
        ..limits()
    });
    for port in 0..8 {
        table.udp(10 + u64::from(port), 1, (1, 1000 + port), (2, 53), 100);
    }
    table.udp(20, 1, (1, 1000), (2, 53), 100);
    assert!(table.udp(21, 1, (1, 2000), (2, 53), 100).opened);
    assert_eq!(
        table.closed[0].originator_port, 1001,
        "1000 was heard again meanwhile"
    );
    assert_eq!(table.closed[0].reason, CloseReason::Evicted);
    assert_eq!(table.flows.live(), 8);
}

#[test]
fn a_source_over_its_share_of_a_full_table_gets_no_more() {
    let mut table = Harness::new(FlowLimits {
        flows_max: 8,
        source_flows_max: 4,
        ..limits()
    });
    table.udp(9, 2, (1, 1), (2, 53), 100);
    for port in 0..7 {
        assert!(table.udp(10, 1, (1, 1000 + port), (2, 53), 100).opened);
    }
    let refused = table.udp(11, 1, (1, 3000), (2, 53), 100);
    assert_eq!(refused.tracked, Err(Untracked::SourceBudget));
    assert!(
        table.udp(12, 2, (1, 2), (2, 53), 100).opened,
        "the other source has room"
    );
    assert_eq!(table.closed[0].source, mirror(1));
}

proptest! {
    /// A flood of any shape from one source, in a table a fraction of its size: the records of
    /// the other source are those of a run without the flood.
    #[test]
    fn one_sources_flood_leaves_anothers_flows_identical(
        quiet in prop::collection::vec((0..12_u16, any::<bool>()), 1..60),
        flood in prop::collection::vec(0..5_000_u16, 200..600),
    ) {
        let limits = FlowLimits { flows_max: 48, source_flows_max: 24, ..limits() };
        let run = |flooded: bool| {
            let mut table = Harness::new(limits);
            let share = flood.len() / quiet.len();
            for (number, (port, back)) in quiet.iter().enumerate() {
                let second = 10 + number as u64 / 4;
                table.tick(second);
                let (client, server) = ((7, 4_000 + port), (8, 53));
                let (from, to) = if *back { (server, client) } else { (client, server) };
                let observed = table.udp(second, 2, from, to, 90);
                prop_assert_eq!(observed.tracked, Ok(()));
                if flooded {
                    for port in flood.iter().skip(number * share).take(share) {
                        table.udp(second, 1, (1, *port), (2, 53), 60);
                    }
                    prop_assert!(table.flows.live() <= 48);
                }
            }
            let records = table.finish().into_iter().filter(|r| r.source == mirror(2));
            let mut seen: Vec<_> = records.map(|r| (r.originator_port, r.start, r.end, r.forward, r.reverse, r.reason)).collect();
            seen.sort_by_key(|record| record.0);
            Ok(seen)
        };
        prop_assert_eq!(run(false)?, run(true)?);
    }

    /// Whatever comes, every packet is tracked or has a reason, and the records of all flows
    /// hold exactly the tracked packets and bytes.
    #[test]
    fn records_hold_exactly_the_tracked_packets(
        packets in prop::collection::vec((0..4_u8, 0..6_u32, 0..6_u16, any::<u8>(), 0..90_u64), 1..300)
    ) {
        let limits = FlowLimits { flows_max: 8, source_flows_max: 6, active_timeout: 50, ..limits() };
        let mut table = Harness::new(limits);
        let (mut second, mut tracked, mut bytes) = (1, 0, 0);
        for (source, host, port, flags, step) in packets {
            second += step / 3;
            table.tick(second);
            let observed = if flags % 2 == 0 {
                table.udp(second, source, (host, port), (9, 53), 70)
            } else {
                table.tcp(second, (host, port), (9, 80), flags, 70)
            };
            if observed.tracked.is_ok() {
                tracked += 1;
                bytes += 70;
            }
        }
        let records = table.finish();
        let sum = |count: fn(&crate::Traffic) -> u64| -> u64 {
            records.iter().map(|record| count(&record.forward) + count(&record.reverse)).sum()
        };
        prop_assert_eq!(sum(|traffic| traffic.packets), tracked);
        prop_assert_eq!(sum(|traffic| traffic.bytes), bytes);
        prop_assert!(records.is_sorted_by_key(|record| record.closed_at));
        prop_assert!(records.iter().all(|record| record.start <= record.end));
    }
}

#[test]
fn stored_frames_come_with_the_record() {
    let mut table = Harness::new(limits());
    table.connection(10);
    table.finish();
    assert_eq!(table.stored, [7], "all seven frames of the connection");
}

/// A flow table, a clock and what was closed.
struct Harness {
    flows: Flows,
    index: u64,
    closed: Vec<FlowRecord>,
    stored: Vec<usize>,
    milestones: Vec<(Milestone, FlowSoFar)>,
}

struct Collect<'a>(
    &'a mut Vec<FlowRecord>,
    &'a mut Vec<usize>,
    &'a mut Vec<(Milestone, FlowSoFar)>,
);

impl Closing for Collect<'_> {
    /// Undecided until answered, then the first label; a large flow bears the second.
    fn handle_milestone(&mut self, flow: &FlowSoFar, milestone: Milestone) -> Label {
        self.2.push((milestone, *flow));
        match milestone {
            Milestone::Opened => Label::UNDECIDED,
            Milestone::Large => Label::new(1).expect("a label"),
            Milestone::Answered { .. } | Milestone::OneWay | Milestone::Ended => {
                Label::new(0).expect("a label")
            }
        }
    }

    fn handle_closed(&mut self, record: &FlowRecord, frames: &StoredFrames<'_>) {
        let mut stored = 0;
        frames.visit(&mut |_| stored += 1);
        self.0.push(record.clone());
        self.1.push(stored);
    }

    fn wants_records(&self) -> bool {
        true
    }

    fn count_closed(&mut self, _source: SourceId, _reason: CloseReason) {}
}

impl Harness {
    fn new(limits: FlowLimits) -> Self {
        let flows = Flows::try_new(limits).unwrap();
        Self {
            flows,
            index: 0,
            closed: Vec::new(),
            stored: Vec::new(),
            milestones: Vec::new(),
        }
    }

    fn tick(&mut self, second: u64) {
        let index = self.index;
        self.flows.tick(
            second,
            index,
            &mut Collect(&mut self.closed, &mut self.stored, &mut self.milestones),
        );
    }

    fn udp(
        &mut self,
        second: u64,
        source: u8,
        from: (u32, u16),
        to: (u32, u16),
        bytes: u32,
    ) -> Observed {
        self.observe(second, source, view(protocol::UDP, from, to, bytes))
    }

    fn tcp(
        &mut self,
        second: u64,
        from: (u32, u16),
        to: (u32, u16),
        flags: u8,
        sequence: u32,
    ) -> Observed {
        let mut view = view(protocol::TCP, from, to, 70);
        view.tcp = TcpSegment {
            sequence,
            acknowledgement: 0,
            window: 1000,
            flags,
        };
        self.observe(second, 1, view)
    }

    /// Handshake, FIN from both, last acknowledgement: seven packets.
    fn connection(&mut self, second: u64) {
        let (client, server) = ((1, 1000), (2, 80));
        let mut send = |from, to, flags, sequence, acknowledgement| {
            let mut view = view(protocol::TCP, from, to, 70);
            view.payload_len = 0;
            view.tcp = TcpSegment {
                sequence,
                acknowledgement,
                window: 1000,
                flags,
            };
            self.observe(second, 1, view);
        };
        send(client, server, flag::SYN, 100, 0);
        send(server, client, flag::SYN | flag::ACK, 500, 101);
        send(client, server, flag::ACK, 101, 501);
        send(client, server, flag::FIN | flag::ACK, 101, 501);
        send(server, client, flag::ACK, 501, 102);
        send(server, client, flag::FIN | flag::ACK, 501, 102);
        send(client, server, flag::ACK, 102, 502);
    }

    fn observe(&mut self, second: u64, source: u8, view: FrameView) -> Observed {
        self.observe_stamped(second, Timestamp::new(second, 0), source, view)
    }

    fn observe_stamped(
        &mut self,
        second: u64,
        timestamp: Timestamp,
        source: u8,
        view: FrameView,
    ) -> Observed {
        let now = Timestamp::new(second, 0);
        self.index += 1;
        let frame = vec![0; view.captured_len as usize];
        let packet = Packet {
            index: self.index,
            timestamp,
            now,
            source: SourceId::new(source.into()),
            mirror: mirror(source),
            view,
            crossing: Crossing::Unknown,
        };
        let mut prepared = Prepared::default();
        let (source, vni) = (packet.source, packet.mirror.vni);
        self.flows.prepare(&mut prepared, source, vni, &view);
        self.flows.prefetch(&mut prepared);
        let mut collect = Collect(&mut self.closed, &mut self.stored, &mut self.milestones);
        self.flows.observe(&prepared, &packet, &frame, &mut collect)
    }

    fn finish(&mut self) -> Vec<FlowRecord> {
        let now = self
            .closed
            .last()
            .map_or(Timestamp::ZERO, |record| record.closed);
        let mut collect = Collect(&mut self.closed, &mut self.stored, &mut self.milestones);
        self.flows.close_all(now, self.index + 1, &mut collect);
        assert_eq!(self.flows.live(), 0);
        self.closed.clone()
    }
}

fn mirror(number: u8) -> MirrorSource {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, number));
    MirrorSource {
        address,
        vni: Vni::try_new(7).unwrap(),
    }
}

fn view(protocol: u8, from: (u32, u16), to: (u32, u16), bytes: u32) -> FrameView {
    FrameView {
        class: Class::Ip,
        tuple: Tuple {
            addresses: Addresses::V4 {
                source: from.0,
                destination: to.0,
            },
            source_port: from.1,
            destination_port: to.1,
            protocol,
            one_way: false,
        },
        captured_len: bytes,
        original_len: bytes,
        ip_len: bytes - 14,
        payload_len: bytes - 42,
        ether_type: 0x0800,
        vlan: [0; 2],
        vlan_count: 0,
        ttl: 64,
        icmp_type: 0,
        icmp_code: 0,
        fragment: Fragment::No,
        tcp: TcpSegment::default(),
        network_offset: 14,
        transport_offset: 34,
        truncated: false,
    }
}

fn limits() -> FlowLimits {
    FlowLimits {
        scope: FlowScope::Source,
        flows_max: 64,
        sources_max: 8,
        source_flows_max: 32,
        timeouts: Timeouts::default(),
        active_timeout: 0,
        id_seed: 0,
        hash_seed: 1,
        rings: Some(RingSizes {
            head_log: 64 << 10,
            tail_log: 64 << 10,
            pool: 16 << 10,
            head: 4096,
            tail: 4096,
            private: 8192,
        }),
        closed_max: 16,
    }
}
