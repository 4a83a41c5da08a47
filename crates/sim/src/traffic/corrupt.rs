//! Corrupts what a packet carries, behind its outermost headers.

use std::ops::Range;

use super::tunnel::{OUTER_HEADERS, rewrite_lengths};
use crate::random::Random;

/// Most bytes that are flipped in one packet.
const FLIPPED_MAX: usize = 8;

/// Flips bytes of the tunnel's headers or of the inner frame, or cuts the packet. `tunnel` bytes
/// stand before the inner frame. The outermost headers stay right, and so does the address of the
/// sender unless GENEVE carries it. False if there was nothing to corrupt.
pub(crate) fn corrupt(packet: &mut Vec<u8>, tunnel: usize, random: &mut Random) -> bool {
    let length = packet.len();
    if length <= OUTER_HEADERS {
        return false;
    }
    let frame = tunnel.min(length);
    match random.below(3) {
        0 => flip(packet, OUTER_HEADERS..frame, random),
        1 if frame < length => flip(packet, frame..length, random),
        _ => {
            packet.truncate(OUTER_HEADERS + random.index(length - OUTER_HEADERS));
            rewrite_lengths(packet);
        }
    }
    true
}

/// Changes neighbouring bytes, at least one, to other values.
fn flip(packet: &mut [u8], range: Range<usize>, random: &mut Random) {
    let Some(part) = packet.get_mut(range) else {
        return;
    };
    let first = random.index(part.len());
    let count = 1 + random.index(FLIPPED_MAX);
    for byte in part.iter_mut().skip(first).take(count) {
        *byte ^= random.byte().max(1);
    }
}
