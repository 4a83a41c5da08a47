//! How connections end.

use vxscope_wire::flag;

use super::{OPEN, Step, check, check_reversed, opened, run};
use crate::tcp::{Close, Side, TcpPhase};

#[test]
fn complete_connection_is_sf_and_payload_counts_once() {
    let rest = [
        ('>', "AP", 101, 501, 74),
        ('<', "A", 501, 175, 0),
        ('<', "AP", 501, 175, 432),
        ('>', "A", 175, 933, 0),
        ('>', "FA", 175, 933, 0),
        ('<', "FA", 933, 176, 0),
        ('>', "A", 176, 934, 0),
    ];
    let tcp = check(&opened(&rest), "SF", "ShADadFf", [74, 432, 0]);
    assert_eq!(
        (tcp.phase(), tcp.closed_by()),
        (TcpPhase::TimeWait, Some(Close::Fin))
    );
    assert_eq!(
        tcp.flags(Side::Originator),
        flag::SYN | flag::ACK | flag::PSH | flag::FIN
    );
    assert!(!tcp.is_reversed());
}

#[test]
fn every_way_to_end_has_its_state() {
    let established =
        |rest: &[Step], state, history, sizes| check(&opened(rest), state, history, sizes);
    established(&[], "S1", "ShA", [0, 0, 0]);
    established(&[('>', "FA", 101, 501, 0)], "S2", "ShAF", [0, 0, 0]);
    established(&[('<', "FA", 501, 101, 9)], "S3", "ShAf", [0, 9, 0]);
    established(&[('>', "R", 101, 0, 0)], "RSTO", "ShAR", [0, 0, 0]);
    established(&[('<', "R", 501, 0, 0)], "RSTR", "ShAr", [0, 0, 0]);

    check(
        &[('>', "S", 100, 0, 0), ('<', "RA", 0, 101, 0)],
        "REJ",
        "Sr",
        [0, 0, 0],
    );
    check(
        &[('>', "S", 100, 0, 0), ('>', "R", 101, 0, 0)],
        "RSTOS0",
        "SR",
        [0, 0, 0],
    );
    check(
        &[('>', "S", 100, 0, 0), ('>', "FA", 101, 501, 0)],
        "SH",
        "SF",
        [0, 0, 0],
    );
    check(&[('>', "R", 101, 0, 0)], "OTH", "R", [0, 0, 0]);
    check(
        &[('>', "A", 100, 500, 10), ('<', "A", 500, 110, 20)],
        "OTH",
        "Dd",
        [10, 20, 0],
    );
    check_reversed(
        &[('<', "SA", 500, 101, 0), ('<', "R", 501, 0, 0)],
        "RSTRH",
        "^hr",
        [0, 0, 0],
    );
    check_reversed(
        &[('<', "SA", 500, 101, 0), ('<', "FA", 501, 101, 0)],
        "SHR",
        "^hf",
        [0, 0, 0],
    );
    check_reversed(&[('<', "RA", 501, 101, 0)], "RSTRH", "^r", [0, 0, 0]);
}

#[test]
fn phases_follow_the_close() {
    let phase = |rest: &[Step]| run(false, &opened(rest)).phase();
    assert_eq!(run(false, &OPEN[..2]).phase(), TcpPhase::SynRecv);
    assert_eq!(phase(&[]), TcpPhase::Established);
    let fin = ('>', "FA", 101, 501, 0);
    assert_eq!(phase(&[fin]), TcpPhase::FinWait1);
    assert_eq!(phase(&[fin, ('<', "A", 501, 102, 0)]), TcpPhase::FinWait2);
    assert_eq!(phase(&[fin, ('<', "FA", 501, 102, 0)]), TcpPhase::LastAck);
    assert_eq!(phase(&[('<', "FA", 501, 101, 0)]), TcpPhase::CloseWait);
    assert_eq!(phase(&[fin, ('<', "R", 501, 0, 0)]), TcpPhase::Closed);
    assert_eq!(run(false, &[('>', "A", 1, 1, 5)]).phase(), TcpPhase::None);
    let both = [('>', "A", 1, 1, 5), ('<', "A", 1, 6, 5)];
    assert_eq!(run(false, &both).phase(), TcpPhase::Established);
}

#[test]
fn a_rst_between_two_fins_is_still_a_normal_end() {
    let rest = [
        ('<', "FA", 501, 101, 0),
        ('<', "R", 502, 0, 0),
        ('>', "FA", 101, 502, 0),
    ];
    let tcp = check(&opened(&rest), "SF", "ShAfrF", [0, 0, 0]);
    assert_eq!(tcp.closed_by(), Some(Close::Fin));
}

#[test]
fn a_fin_from_the_only_end_ever_seen_closes() {
    let one_way = [
        ('>', "S", 100, 0, 0),
        ('>', "A", 101, 501, 8),
        ('>', "FA", 109, 501, 0),
    ];
    assert_eq!(run(false, &one_way).closed_by(), Some(Close::Fin));
}
