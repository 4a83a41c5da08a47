//! When a flow is labelled, and what is known of it then.

use vxscope_wire::flag;

use super::{Harness, limits};
use crate::{ATTEMPT_PACKETS_MAX, FlowLimits, LARGE_BYTES, Label, Milestone};

const CLIENT: (u32, u16) = (1, 1000);
const SERVER: (u32, u16) = (2, 53);

#[test]
fn an_answer_decides_a_flow_before_it_is_counted() {
    let mut table = Harness::new(limits());
    let labels = [
        (CLIENT, SERVER, 100),
        (SERVER, CLIENT, 300),
        (CLIENT, SERVER, 50),
    ]
    .map(|(from, to, bytes)| table.udp(10, 1, from, to, bytes).label);
    let decided = Label::new(0).unwrap();
    assert_eq!(labels, [Label::UNDECIDED, decided, decided]);
    table.finish();
    let told = [
        (Milestone::Opened, 0),
        (Milestone::Answered { tcp_flags: 0 }, 100),
    ];
    check(&table, &told);
}

#[test]
fn a_refusal_shows_its_flags() {
    let mut table = Harness::new(limits());
    table.tcp(10, CLIENT, (2, 80), flag::SYN, 1);
    table.tcp(10, (2, 80), CLIENT, flag::RST | flag::ACK, 0);
    let tcp_flags = flag::RST | flag::ACK;
    check(
        &table,
        &[
            (Milestone::Opened, 0),
            (Milestone::Answered { tcp_flags }, 70),
        ],
    );
    assert_eq!(table.milestones[1].1.originator_flags, flag::SYN);
}

#[test]
fn an_unanswered_flow_is_decided_at_its_end_or_when_it_is_no_attempt() {
    let mut table = Harness::new(limits());
    let most = u64::from(ATTEMPT_PACKETS_MAX);
    for second in 0..most {
        table.udp(second, 1, CLIENT, SERVER, 100);
    }
    table.finish();
    check(
        &table,
        &[(Milestone::Opened, 0), (Milestone::Ended, 100 * most)],
    );
    let mut table = Harness::new(limits());
    for second in 0..=most {
        table.udp(second, 1, CLIENT, SERVER, 100);
    }
    table.finish();
    check(
        &table,
        &[(Milestone::Opened, 0), (Milestone::OneWay, 100 * most)],
    );
}

#[test]
fn a_flow_is_large_each_time_one_side_sent_as_much_again() {
    let mut table = Harness::new(FlowLimits {
        rings: None,
        ..limits()
    });
    let frames = u32::try_from(2 * LARGE_BYTES / 60_000).unwrap() + 2;
    table.udp(10, 1, CLIENT, SERVER, 100);
    let mut large = Vec::new();
    for frame in 0..frames {
        if table.udp(10, 1, SERVER, CLIENT, 60_000).label == Label::new(1).unwrap() {
            large.push(frame);
        }
    }
    table.finish();
    let found: Vec<_> = table
        .milestones
        .iter()
        .map(|(milestone, _)| *milestone)
        .collect();
    let answered = Milestone::Answered { tcp_flags: 0 };
    assert_eq!(
        found,
        [
            Milestone::Opened,
            answered,
            Milestone::Large,
            Milestone::Large
        ]
    );
    // The first frame that is large is the one that crosses the limit; ip bytes are 14 fewer.
    let crossing = LARGE_BYTES.div_ceil(60_000);
    assert_eq!(u64::from(large[0]) + 1, crossing);
    let records = table.closed;
    let bytes: u64 = records.iter().map(|record| record.reverse.bytes).sum();
    assert_eq!(bytes, u64::from(frames) * 60_000);
}

fn check(table: &Harness, expected: &[(Milestone, u64)]) {
    let found: Vec<_> = table
        .milestones
        .iter()
        .map(|(milestone, flow)| (*milestone, flow.bytes))
        .collect();
    assert_eq!(found, expected);
}
