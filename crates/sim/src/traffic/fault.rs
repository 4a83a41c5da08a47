//! Damage as it comes from broken senders, broken wires and attackers.

use super::frame::ETHERNET;
use crate::random::Random;

/// One packet of this many is damaged.
const ONE_OF: u64 = 8;

/// Damages some packets, seldom the same way twice. `tunnel` is the length of the outer headers.
/// The address of the source stays, so that it is known who sent the packet.
pub(crate) fn damage(packet: &mut Vec<u8>, tunnel: usize, random: &mut Random) -> bool {
    if random.below(ONE_OF) != 0 {
        return false;
    }
    let ip = tunnel + ETHERNET;
    match random.below(8) {
        // The VXLAN I flag is unset.
        0 => set(packet, tunnel - 8, 0),
        // The outer UDP length.
        1 => scramble(packet, ETHERNET + 24, 2, random),
        // The inner Ethernet type.
        2 => scramble(packet, ip - 2, 2, random),
        // Version and header length of the inner IP header.
        3 => scramble(packet, ip, 1, random),
        // Lengths of the inner IP header.
        4 => scramble(packet, ip + 2, 4, random),
        // The inner transport header, where IPv4 has no options.
        5 => scramble(packet, ip + 20, 20, random),
        // Any byte of the inner frame, up to eight times.
        6 => {
            for _ in 0..=random.below(8) {
                let at = tunnel + random.index(packet.len() - tunnel);
                scramble(packet, at, 1, random);
            }
        }
        // The packet ends early, perhaps in its VXLAN header.
        _ => packet.truncate(tunnel - 8 + random.index(packet.len() - tunnel)),
    }
    true
}

fn scramble(packet: &mut [u8], at: usize, count: usize, random: &mut Random) {
    for at in at..at + count {
        set(packet, at, random.byte());
    }
}

fn set(packet: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = packet.get_mut(at) {
        *byte = value;
    }
}
