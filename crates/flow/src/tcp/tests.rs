//! Sequences of segments, and what Zeek's connection log would say of them.

use std::collections::BTreeMap;

use vxscope_wire::{Addresses, TcpSegment, Tuple, flag, protocol};

use super::{
    Close, ConnState, Side, Tcp, TcpPhase, datagram_conn_state, datagram_history,
    likely_server_port, opens_reversed,
};

/// Sender (`>` originator, `<` responder), flags, sequence number, acknowledgement, payload.
/// Flags: the first letters, `0` for a zero window.
type Step = (char, &'static str, u32, u32, u32);

/// A handshake; the originator's stream starts at 101, the responder's at 501.
const OPEN: [Step; 3] = [
    ('>', "S", 100, 0, 0),
    ('<', "SA", 500, 101, 0),
    ('>', "A", 101, 501, 0),
];

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
fn attempts_that_nobody_answers_are_s0_however_often_repeated() {
    let tcp = check(&[('>', "S", 100, 0, 0); 4], "S0", "S", [0, 0, 0]);
    assert_eq!((tcp.phase(), tcp.closed_by()), (TcpPhase::SynSent, None));
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

#[test]
fn rst_letters_repeat_for_another_place_only() {
    let rest = [
        ('>', "R", 101, 0, 0),
        ('>', "R", 101, 0, 0),
        ('>', "R", 150, 0, 0),
    ];
    check(&opened(&rest), "RSTO", "ShARR", [0, 0, 0]);
}

#[test]
fn contradicting_flags_have_letters_of_their_own() {
    check(&[('>', "SF", 100, 0, 0)], "SH", "Q", [0, 0, 0]);
    check(
        &[('>', "FR", 100, 0, 0), ('>', "FR", 100, 0, 0)],
        "OTH",
        "I",
        [0, 0, 0],
    );
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
fn counted_letters_come_at_powers_of_ten() {
    let mut steps = opened(&[('>', "A", 101, 501, 10)]);
    steps.extend([('>', "A", 101, 501, 10); 100]);
    check(&steps, "S1", "ShADTTT", [10, 0, 0]);
}

#[test]
fn zero_windows_count_until_the_peer_has_nothing_more_to_send() {
    check(
        &opened(&[('<', "A0", 501, 101, 0)]),
        "S1",
        "ShAaw",
        [0, 0, 0],
    );
    let after_fin = [('>', "FA", 101, 501, 0), ('<', "A0", 501, 102, 0)];
    check(&opened(&after_fin), "S2", "ShAFa", [0, 0, 0]);
    check(
        &opened(&[('<', "R0", 501, 0, 0)]),
        "RSTR",
        "ShAr",
        [0, 0, 0],
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

#[test]
fn who_opened_is_told_by_flags_then_by_ports() {
    let check = |protocol, flags, source_port, destination_port, expected| {
        let addresses = Addresses::V4 {
            source: 1,
            destination: 2,
        };
        let tuple = Tuple {
            addresses,
            source_port,
            destination_port,
            protocol,
            one_way: false,
        };
        let reversed = opens_reversed(&tuple, &segment((' ', flags, 0, 0, 0)));
        assert_eq!(
            reversed, expected,
            "{protocol} {flags} {source_port} {destination_port}"
        );
    };
    check(protocol::TCP, "S", 80, 40_000, false);
    check(protocol::TCP, "SA", 40_000, 40_001, true);
    check(protocol::TCP, "SA", 40_000, 80, true);
    check(protocol::TCP, "A", 80, 40_000, true);
    check(protocol::TCP, "A", 40_000, 80, false);
    check(protocol::TCP, "A", 22, 80, true);
    check(protocol::TCP, "A", 80, 22, false);
    check(protocol::TCP, "R", 443, 50_000, true);
    check(protocol::UDP, "", 53, 40_000, true);
    check(protocol::UDP, "", 53, 53, false);
    check(protocol::UDP, "", 53, 123, false);
    check(protocol::UDP, "", 80, 40_000, false);
    check(protocol::SCTP, "", 80, 40_000, false);

    let addresses = Addresses::V4 {
        source: 1,
        destination: u32::MAX,
    };
    let broadcast = Tuple {
        addresses,
        source_port: 67,
        destination_port: 68,
        protocol: 17,
        one_way: false,
    };
    assert!(!opens_reversed(&broadcast, &TcpSegment::default()));
}

#[test]
fn server_ports_are_found_in_both_tables() {
    for port in [21, 22, 443, 8080, 20_000] {
        assert!(likely_server_port(protocol::TCP, port), "{port}");
    }
    for port in [53, 443, 4_789, 20_000] {
        assert!(likely_server_port(protocol::UDP, port), "{port}");
    }
    assert!(super::role::SERVER_PORTS_TCP.is_sorted() && super::role::SERVER_PORTS_UDP.is_sorted());
    assert!(!likely_server_port(protocol::UDP, 22));
    assert!(!likely_server_port(protocol::SCTP, 22));
}

#[test]
fn datagram_flows_tell_who_spoke_in_which_order() {
    let check = |protocol, reversed, packets: [u64; 2], state: ConnState, letters: &str| {
        let [originator, responder] = packets;
        assert_eq!(datagram_conn_state(protocol, originator, responder), state);
        let history = datagram_history(protocol, reversed, originator, responder);
        assert_eq!(history.as_str(), letters);
    };
    check(protocol::UDP, false, [3, 0], ConnState::S0, "D");
    check(protocol::UDP, false, [1, 2], ConnState::Sf, "Dd");
    check(protocol::UDP, true, [0, 1], ConnState::Shr, "^d");
    check(protocol::UDP, true, [1, 1], ConnState::Sf, "^dD");
    check(protocol::ICMP, false, [1, 1], ConnState::Oth, "");
    check(protocol::SCTP, false, [9, 9], ConnState::Oth, "");
}

/// Streams cut, repeated and shuffled as a lossy mirror does, against a reference that keeps
/// every piece. At most two pieces are ever ahead of a hole, so both must agree to the byte.
#[test]
fn missed_bytes_agree_with_a_reference_that_keeps_every_piece() {
    let mut random = Random(0x5eed);
    for _ in 0..2_000 {
        let first = random.below(u32::MAX);
        let opening = [
            ('>', "S", 100, 0, 0),
            ('<', "SA", first.wrapping_sub(1), 101, 0),
            ('>', "A", 101, first, 0),
        ];
        let mut tcp = run(false, &opening);
        let mut reference = Reference::default();
        let mut at = 0_u32;
        for _ in 0..60 {
            let mut pieces: Vec<(u32, u32)> = Vec::new();
            for _ in 0..3 {
                let len = 1 + random.below(1_400);
                if random.below(4) > 0 {
                    pieces.push((at, len));
                }
                at += len;
            }
            if pieces.len() == 3 && random.below(2) == 0 {
                pieces.swap(0, 2);
            }
            if let (0, Some(piece)) = (random.below(5), pieces.first().copied()) {
                pieces.push(piece);
            }
            for (start, len) in pieces {
                observe(&mut tcp, ('<', "A", first.wrapping_add(start), 101, len));
                reference.receive(start, len);
            }
            // Once into the middle, where a hole or a piece may be, then everything.
            for number in [at - random.below(3_000).min(at), at] {
                observe(&mut tcp, ('>', "A", 101, first.wrapping_add(number), 0));
                reference.acknowledge(number);
                assert_eq!(tcp.missed_bytes(), reference.missed);
            }
            assert_eq!(tcp.payload_bytes(Side::Responder), u64::from(at));
        }
    }
}

/// The short way for segments in order must leave exactly what the long way leaves.
#[test]
fn the_short_way_agrees_with_the_long_way() {
    let mut random = Random(0xfa57);
    let (mut short, mut all) = (0_u32, 0_u32);
    for _ in 0..2_000 {
        let starts = [random.below(u32::MAX), random.below(u32::MAX)];
        let mut tcp = Tcp::default();
        // How far each end's stream came, handshake included.
        let mut sent = [0_u32; 2];
        for turn in 0..80 {
            let end = if turn < 4 {
                turn % 2
            } else {
                usize::from(random.below(2) == 0)
            };
            let payload_len = match random.below(4) {
                _ if turn < 3 => 0,
                0 => 0,
                1 => 60_000,
                _ => random.below(1_500),
            };
            let flags = match turn {
                0 => flag::SYN,
                1 => flag::SYN | flag::ACK,
                _ if random.below(60) == 0 => u8::try_from(random.below(64)).unwrap(),
                _ => flag::ACK,
            };
            let jitter = |random: &mut Random| match random.below(25) {
                0 => random.below(3_000),
                1 => random.below(3_000).wrapping_neg(),
                _ => 0,
            };
            let segment = TcpSegment {
                sequence: starts[end]
                    .wrapping_add(sent[end])
                    .wrapping_add(jitter(&mut random)),
                acknowledgement: starts[1 - end]
                    .wrapping_add(sent[1 - end])
                    .wrapping_add(jitter(&mut random)),
                window: u16::from(random.below(30) > 0),
                flags,
            };
            let side = [Side::Originator, Side::Responder][end];
            let mut long = tcp;
            long.observe_any(side, &segment, payload_len);
            let (mut sender, peer) = (tcp.end(side).front, tcp.end(side.other()).front);
            short += u32::from(sender.goes_on_in_order(&peer, &segment, payload_len));
            all += 1;
            tcp.observe(side, &segment, payload_len);
            assert_eq!(tcp, long, "{segment:?} {payload_len}");
            sent[end] = sent[end].wrapping_add(payload_len + u32::from(turn < 2));
        }
    }
    assert!(
        short > all / 10,
        "the short way was hardly taken: {short} of {all}"
    );
}

#[test]
fn arbitrary_segments_never_panic_and_never_claim_more_than_the_stream() {
    let mut random = Random(0xbad);
    for _ in 0..20_000 {
        let mut tcp = Tcp::new(random.below(2) == 0);
        let wide = random.below(2) == 0;
        for _ in 0..40 {
            let side = if random.below(2) == 0 {
                Side::Originator
            } else {
                Side::Responder
            };
            let number = |random: &mut Random| match (wide, random.below(8)) {
                (false, _) => random.below(5_000),
                (true, 0) => u32::MAX - random.below(100),
                (true, _) => random.below(u32::MAX),
            };
            let segment = TcpSegment {
                sequence: number(&mut random),
                acknowledgement: number(&mut random),
                window: u16::from(random.below(4) > 0),
                flags: u8::try_from(random.below(256)).unwrap(),
            };
            let payload_len = random.below(if wide { u32::MAX } else { 2_000 });
            let _ = tcp.is_reuse(&segment);
            tcp.observe(side, &segment, payload_len);
            let _ = (tcp.phase(), tcp.conn_state(), tcp.closed_by());
            assert!(tcp.payload_bytes(Side::Originator) <= 41 << 33);
            assert!(tcp.payload_bytes(Side::Responder) <= 41 << 33);
            assert!(tcp.missed_bytes() <= 40 << 31);
        }
    }
}

/// Everything received, by start; what Zeek's reassembler would report as gaps.
#[derive(Default)]
struct Reference {
    pieces: BTreeMap<u32, u32>,
    complete: u32,
    missed: u64,
}

impl Reference {
    fn receive(&mut self, start: u32, len: u32) {
        let end = self.pieces.entry(start).or_insert(start + len);
        *end = (*end).max(start + len);
        self.join();
    }

    fn acknowledge(&mut self, number: u32) {
        while self.complete < number {
            let next = self
                .pieces
                .range(self.complete..number)
                .next()
                .map_or(number, |(s, _)| *s);
            self.missed += u64::from(next - self.complete);
            self.complete = next;
            self.join();
        }
    }

    fn join(&mut self) {
        while let Some((start, end)) = self.pieces.first_key_value().map(|(s, e)| (*s, *e)) {
            if start > self.complete {
                return;
            }
            self.complete = self.complete.max(end);
            self.pieces.remove(&start);
        }
    }
}

/// A small generator (`SplitMix64`), so that failures repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ mixed >> 31) >> 32).unwrap() % limit
    }
}

fn opened(rest: &[Step]) -> Vec<Step> {
    OPEN.iter().chain(rest).copied().collect()
}

fn segment((_, flags, sequence, acknowledgement, _): Step) -> TcpSegment {
    let bit = |letter| match letter {
        'F' => flag::FIN,
        'S' => flag::SYN,
        'R' => flag::RST,
        'P' => flag::PSH,
        'A' => flag::ACK,
        _ => 0,
    };
    TcpSegment {
        sequence,
        acknowledgement,
        window: if flags.contains('0') { 0 } else { 8_192 },
        flags: flags.chars().map(bit).fold(0, |all, one| all | one),
    }
}

fn observe(tcp: &mut Tcp, step: Step) {
    let side = if step.0 == '>' {
        Side::Originator
    } else {
        Side::Responder
    };
    tcp.observe(side, &segment(step), step.4);
}

fn run(reversed: bool, steps: &[Step]) -> Tcp {
    let mut tcp = Tcp::new(reversed);
    for step in steps {
        observe(&mut tcp, *step);
    }
    tcp
}

fn check(steps: &[Step], state: &str, history: &str, sizes: [u64; 3]) -> Tcp {
    check_run(false, steps, state, history, sizes)
}

fn check_reversed(steps: &[Step], state: &str, history: &str, sizes: [u64; 3]) -> Tcp {
    check_run(true, steps, state, history, sizes)
}

/// `sizes`: payload of the originator and of the responder, missed bytes.
fn check_run(reversed: bool, steps: &[Step], state: &str, history: &str, sizes: [u64; 3]) -> Tcp {
    let tcp = run(reversed, steps);
    assert_eq!(tcp.history().as_str(), history, "{steps:?}");
    assert_eq!(tcp.conn_state().name(), state, "{steps:?}");
    let measured = [
        tcp.payload_bytes(Side::Originator),
        tcp.payload_bytes(Side::Responder),
        tcp.missed_bytes(),
    ];
    assert_eq!(measured, sizes, "{steps:?}");
    assert_eq!(tcp.is_reversed(), reversed);
    tcp
}
