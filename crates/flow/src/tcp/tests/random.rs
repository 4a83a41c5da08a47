//! Segments as chance has them, against references and limits.

use std::collections::BTreeMap;

use vxscope_wire::{TcpSegment, flag};

use super::{observe, run};
use crate::tcp::{Side, Tcp};

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
