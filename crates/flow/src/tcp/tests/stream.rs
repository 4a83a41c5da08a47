//! How long streams are, and what of them is missing.

use super::{OPEN, check, observe, opened, run};
use crate::tcp::Side;

#[test]
fn acknowledged_holes_are_gaps_of_the_end_that_sent_them() {
    let rest = [
        ('<', "A", 501, 101, 100),
        ('<', "A", 701, 101, 100),
        ('>', "A", 101, 801, 0),
    ];
    check(&opened(&rest), "S1", "ShAdg", [0, 300, 100]);
    // The tail alone.
    check(
        &opened(&[('>', "A", 101, 801, 0)]),
        "S1",
        "ShAg",
        [0, 300, 300],
    );
    // A FIN that nobody captured data before: its own number is not missing.
    let fin = [('<', "FA", 601, 101, 0), ('>', "A", 101, 602, 0)];
    check(&opened(&fin), "S3", "ShAfg", [0, 100, 100]);
}

#[test]
fn holes_are_not_counted_midstream_or_by_a_rst() {
    let midstream = [
        ('>', "A", 100, 500, 10),
        ('<', "A", 500, 110, 10),
        ('>', "A", 110, 900, 0),
    ];
    check(&midstream, "OTH", "DdA", [10, 400, 0]);
    check(
        &opened(&[('>', "RA", 101, 5_000, 0)]),
        "RSTO",
        "ShAR",
        [0, 0, 0],
    );
}

#[test]
fn late_pieces_fill_holes_and_have_the_letter_of_a_retransmission() {
    let rest = [
        ('<', "A", 601, 101, 100),
        ('<', "A", 501, 101, 100),
        ('>', "A", 101, 701, 0),
        ('<', "A", 501, 101, 100),
    ];
    check(&opened(&rest), "S1", "ShAdt", [0, 200, 0]);
}

#[test]
fn two_holes_are_exact_and_a_third_is_forgotten_never_invented() {
    let piece = |at| ('<', "A", at, 101, 10);
    let ack = |to| ('>', "A", 101, to, 0);
    // Holes of 10 before 511 and before 531.
    check(
        &opened(&[piece(511), piece(531), ack(541)]),
        "S1",
        "ShAdg",
        [0, 40, 20],
    );
    check(
        &opened(&[piece(531), piece(511), ack(521)]),
        "S1",
        "ShAdtg",
        [0, 40, 10],
    );
    // The first hole is filled before the acknowledgement.
    check(
        &opened(&[piece(511), piece(531), piece(501), ack(541)]),
        "S1",
        "ShAdtg",
        [0, 40, 10],
    );
    // Three pieces: the hole before the last is not counted.
    check(
        &opened(&[piece(511), piece(531), piece(551), ack(561)]),
        "S1",
        "ShAdg",
        [0, 60, 20],
    );
}

#[test]
fn streams_may_wrap_and_outgrow_32_bits() {
    let start = u32::MAX - 9;
    let mut tcp = run(
        false,
        &[
            ('>', "S", start, 0, 0),
            ('<', "SA", 500, start.wrapping_add(1), 0),
        ],
    );
    let (mut sequence, chunk, chunks) = (start.wrapping_add(1), 60_000, 200_000_u32);
    for _ in 0..chunks {
        observe(&mut tcp, ('>', "A", sequence, 501, chunk));
        sequence = sequence.wrapping_add(chunk);
        observe(&mut tcp, ('<', "A", 501, sequence, 0));
    }
    assert_eq!(
        tcp.payload_bytes(Side::Originator),
        u64::from(chunk) * u64::from(chunks)
    );
    assert_eq!(tcp.missed_bytes(), 0);
    assert_eq!(tcp.history().as_str(), "ShDa");
}

#[test]
fn acknowledgements_alone_measure_a_stream_that_is_not_mirrored() {
    let mut tcp = run(false, &OPEN);
    let step = 1_u32 << 20;
    for round in 1..=6_000_u32 {
        observe(
            &mut tcp,
            (
                '>',
                "A",
                101,
                501_u32.wrapping_add(round.wrapping_mul(step)),
                0,
            ),
        );
    }
    assert_eq!(tcp.payload_bytes(Side::Responder), 6_000 << 20);
    assert_eq!(tcp.missed_bytes(), 6_000 << 20);
}

#[test]
fn data_without_any_acknowledgement_is_counted_and_holes_given_up() {
    let mut tcp = run(false, &OPEN);
    let mut sequence = 2_000_u32;
    for _ in 0..100_000 {
        observe(&mut tcp, ('<', "A", sequence, 101, 60_000));
        sequence = sequence.wrapping_add(60_000);
    }
    assert_eq!(tcp.payload_bytes(Side::Responder), 1_499 + 100_000 * 60_000);
    assert_eq!(tcp.missed_bytes(), 0);
}

#[test]
fn a_stream_of_which_only_syn_and_fin_were_seen_has_its_length() {
    let fin = 101_u32.wrapping_add(3_000_000_000);
    let steps = opened(&[('>', "FA", fin, 501, 0)]);
    check(&steps, "S2", "ShAF", [3_000_000_000, 0, 0]);
    check(&opened(&[('>', "FA", 90, 501, 0)]), "S2", "ShAF", [0, 0, 0]);
}
