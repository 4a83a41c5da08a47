//! What two copies of a packet have in common.

use std::hash::{DefaultHasher, Hash, Hasher};

use vxscope_wire::{FrameView, protocol};

/// Bytes of payload that are compared.
const PAYLOAD_BYTES: usize = 32;

/// A hash of it; `None` if it is no whole IP packet.
pub(super) fn print(view: &FrameView, frame: &[u8], seed: u64) -> Option<u64> {
    let start = usize::from(view.network_offset);
    let end = view.headers_len(frame).saturating_add(PAYLOAD_BYTES);
    let bytes = frame.get(start..end.min(frame.len()))?;
    let is_v4 = view.tuple.addresses.pair().0.is_ipv4();
    let network = if view.ip_len == 0 {
        return None;
    } else if is_v4 {
        [8, 10, 11]
    } else {
        [7, 7, 7]
    };
    let transport = usize::from(view.transport_offset).checked_sub(start);
    let checksum = transport.filter(|at| *at > 0).and_then(|at| {
        let place = match view.tuple.protocol {
            protocol::TCP => 16,
            protocol::UDP => 6,
            protocol::SCTP => 8,
            protocol::ICMP | protocol::ICMPV6 => 2,
            _ => return None,
        };
        Some(at + place)
    });
    let checksum = checksum.map_or(0..0, |at| match view.tuple.protocol {
        protocol::SCTP => at..at + 4,
        _ => at..at + 2,
    });
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let mut copy = [0; 256];
    let length = bytes.len().min(copy.len());
    for (place, (byte, to)) in bytes.iter().zip(&mut copy).enumerate() {
        let changes = network.contains(&place) || checksum.contains(&place);
        *to = if changes { 0 } else { *byte };
    }
    copy.get(..length)?.hash(&mut hasher);
    Some(hasher.finish())
}
