//! How connections begin.

use super::{OPEN, Step, check, check_reversed, opened, run, segment};
use crate::tcp::TcpPhase;

#[test]
fn attempts_that_nobody_answers_are_s0_however_often_repeated() {
    let tcp = check(&[('>', "S", 100, 0, 0); 4], "S0", "S", [0, 0, 0]);
    assert_eq!((tcp.phase(), tcp.closed_by()), (TcpPhase::SynSent, None));
}

#[test]
fn half_open_connection_found_and_aborted_has_no_size() {
    // The other end acknowledges an old connection, and the originator resets it.
    let steps = [
        ('>', "S", 100, 0, 0),
        ('<', "A", 7_000, 9_000, 0),
        ('>', "R", 9_000, 0, 0),
    ];
    check(&steps, "RSTOS0", "SaR", [0, 0, 0]);
}

#[test]
fn syn_ack_before_its_syn_establishes_the_connection() {
    let steps = [OPEN[1], OPEN[0], OPEN[2], ('>', "A", 101, 501, 4)];
    check_reversed(&steps, "S1", "^hSAD", [4, 0, 0]);
    // Only the SYN was missed.
    check_reversed(
        &[OPEN[1], OPEN[2], ('>', "A", 101, 501, 4)],
        "S1",
        "^hAD",
        [4, 0, 0],
    );
}

#[test]
fn an_acknowledgement_before_the_syn_ack_does_not_spoil_the_handshake() {
    let steps = [
        ('>', "S", 100, 0, 0),
        ('<', "A", 7, 101, 0),
        ('<', "SA", 500, 101, 0),
    ];
    check(&steps, "S1", "Sah", [0, 0, 0]);
}

#[test]
fn another_syn_ack_counts_until_the_originator_went_on() {
    let stale = ('<', "SA", 9_000, 101, 0);
    let goes_on = [
        ('>', "A", 101, 501, 10),
        ('<', "A", 501, 111, 20),
        ('>', "A", 111, 521, 0),
    ];
    // The one that the originator answers is the last one before it goes on.
    let steps: Vec<Step> = [OPEN[0], stale, OPEN[1]]
        .iter()
        .chain(&goes_on)
        .copied()
        .collect();
    check(&steps, "S1", "ShDdA", [10, 20, 0]);
    let steps: Vec<Step> = [OPEN[0], OPEN[1], goes_on[0], stale, goes_on[1], goes_on[2]].to_vec();
    check(&steps, "S1", "ShDdA", [10, 20, 0]);
}

#[test]
fn reuse_follows_zeeks_rule() {
    let reuse = |steps: &[Step], flags, sequence| {
        run(false, steps).is_reuse(&segment((' ', flags, sequence, 0, 0)))
    };
    assert!(!reuse(&OPEN, "S", 100), "the same SYN again");
    assert!(reuse(&OPEN, "S", 7_777), "another SYN");
    assert!(
        !reuse(&OPEN, "SA", 7_777),
        "a SYN-ACK never, once the originator was seen"
    );
    assert!(!reuse(&OPEN, "A", 7_777), "no SYN");
    assert!(
        reuse(&opened(&[('>', "FA", 101, 501, 0)]), "S", 100),
        "closed"
    );
    assert!(
        reuse(&[('>', "S", 100, 0, 0), ('<', "RA", 0, 101, 0)], "S", 100),
        "rejected"
    );
    assert!(
        !reuse(&OPEN[1..2], "S", 100),
        "the SYN that the SYN-ACK answers"
    );
    assert!(!reuse(&OPEN[1..2], "SA", 500), "the same SYN-ACK again");
    assert!(
        reuse(&OPEN[1..2], "SA", 7_777),
        "another SYN-ACK, nothing from the originator"
    );
}
