//! One flow in the table: what every packet touches apart from what only some do.

use vxscope_memory::prefetch_part;
use vxscope_units::{MirrorSource, SourceId, Timestamp};
use vxscope_wire::TcpSegment;

use crate::closed::Sighting;
use crate::community_id::CommunityId;
use crate::flows::Packet;
use crate::key::Key;
use crate::label::{ATTEMPT_PACKETS_MAX, FlowSoFar, LARGE_BYTES, Label, Milestone};
use crate::record::{CloseReason, Crossing, FlowRecord, TcpRecord, Traffic};
use crate::ring::RingState;
use crate::tcp::{self, Side, Tcp};

/// The flow is in the table.
pub(crate) const LIVE: u8 = 1;
/// The originator is the key's high endpoint.
pub(crate) const ORIGINATOR_HIGH: u8 = 2;
/// The roles were swapped at the first packet because it was plainly an answer.
pub(crate) const FLIPPED: u8 = 4;
/// A counter below that has one of these bits carries into the cold entry. That is also when a
/// flow is looked at for being large, so that no packet pays for the question.
#[expect(clippy::cast_possible_truncation, reason = "far below 2³²")]
const CARRIED: u32 = !(LARGE_BYTES as u32 - 1);

/// What every packet reads and writes: one cache line for IPv4.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(crate) struct Hot<K> {
    pub(crate) key: K,
    pub(crate) end: Timestamp,
    /// Clock second of the latest packet.
    pub(crate) second: u32,
    pub(crate) tag: u32,
    /// Originator's, responder's; the upper parts are in [`Cold::carried`].
    packets: [u32; 2],
    bytes: [u32; 2],
    ip_bytes: [u32; 2],
    pub(crate) flags: u8,
    pub(crate) label: Label,
    /// Seconds of silence that end the flow as it is now; 0: not known yet.
    pub(crate) timeout: u32,
}

/// What is touched after the lookup. A segment that goes on with a TCP connection needs the first
/// cache line, one that says more the next two as well; other packets need the first and the third.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Cold {
    pub(crate) ring: RingState,
    pub(crate) flow_id: u64,
    pub(crate) tcp: Tcp,
    payload_bytes: [u64; 2],
    pub(crate) icmp: [Option<(u8, u8)>; 2],
    pub(crate) source: SourceId,
    pub(crate) start_second: u32,
    pub(crate) start: Timestamp,
    pub(crate) late_packets: u64,
    pub(crate) mirror: MirrorSource,
    carried: [Traffic; 2],
    pub(crate) vlan: [u16; 2],
    pub(crate) vlan_count: u8,
    pub(crate) crossing: Crossing,
}

/// One flow. What nearly every packet touches of an IPv4 flow are two neighbouring cache lines: one
/// page, and one pair for processors that fetch lines in pairs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Entry<K> {
    pub(crate) hot: Hot<K>,
    pub(crate) cold: Cold,
}

impl<K> Entry<K> {
    /// Bytes that every packet of an open flow touches, and a segment that goes on with its
    /// connection no others.
    pub(crate) const TOUCHED_FIRST: usize = std::mem::offset_of!(Self, cold) + TOUCHED_FIRST;
}

/// Those of the [`Cold`] entry.
const TOUCHED_FIRST: usize = 64;
/// Bytes of it that any packet of an open flow may touch.
const TOUCHED: usize = 192;

const _: () = assert!(size_of::<Entry<crate::key::Key4>>().is_multiple_of(128));
const _: () = assert!(Entry::<crate::key::Key4>::TOUCHED_FIRST == 128);
const _: () = assert!(std::mem::offset_of!(Cold, tcp) == 32);
const _: () = assert!(std::mem::offset_of!(Cold, payload_bytes) == 160);
const _: () = assert!(size_of::<Hot<crate::key::Key4>>() == 64);
const _: () = assert!(size_of::<Hot<crate::key::Key6>>() == 96);

/// One packet's share of the counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) side: Side,
    pub(crate) bytes: u32,
    pub(crate) ip_bytes: u32,
    pub(crate) payload_bytes: u32,
}

/// What a flow starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) flow_id: u64,
    pub(crate) source: SourceId,
    pub(crate) mirror: MirrorSource,
    pub(crate) start: Timestamp,
    pub(crate) second: u32,
    pub(crate) vlan: [u16; 2],
    pub(crate) vlan_count: u8,
    pub(crate) crossing: Crossing,
    pub(crate) tcp: Tcp,
}

impl<K: Key> Hot<K> {
    pub(crate) fn new(key: K, tag: u32, flags: u8, opening: &Opening) -> Self {
        Self {
            key,
            end: opening.start,
            second: opening.second,
            tag,
            packets: [0; 2],
            bytes: [0; 2],
            ip_bytes: [0; 2],
            flags: flags | LIVE,
            label: Label::NONE,
            timeout: 0,
        }
    }

    /// Which side sent a packet that travels from the key's high endpoint (or not).
    #[inline]
    pub(crate) fn side(&self, from_high: bool) -> Side {
        if from_high == (self.flags & ORIGINATOR_HIGH != 0) {
            Side::Originator
        } else {
            Side::Responder
        }
    }

    #[inline]
    pub(crate) fn answered(&self) -> bool {
        self.packets[0] != 0 && self.packets[1] != 0
    }

    /// What an open label waits for, if a packet of `side` brings it. The packet is not counted yet.
    #[inline]
    pub(crate) fn milestone(&self, cold: &Cold, side: Side, packet: &Packet) -> Option<Milestone> {
        let (own, other) = match side {
            Side::Originator => (self.packets[0], self.packets[1]),
            Side::Responder => (self.packets[1], self.packets[0]),
        };
        if other != 0 {
            let tcp_flags = packet.view.tcp.flags;
            return Some(Milestone::Answered { tcp_flags });
        }
        // Bytes that wait for a label wait in one cell: that of one source and one direction.
        let same_cell = packet.crossing == cold.crossing && packet.source == cold.source;
        (own >= ATTEMPT_PACKETS_MAX || !same_cell).then_some(Milestone::OneWay)
    }

    /// The flow as it stands.
    pub(crate) fn so_far(&self, cold: &Cold, now: Timestamp, at: u64) -> FlowSoFar {
        let tuple = self.key.tuple(self.flags & ORIGINATOR_HIGH != 0);
        let (originator, responder) = tuple.addresses.pair();
        let flipped = self.flags & FLIPPED != 0;
        let traffic = [Side::Originator, Side::Responder].map(|side| self.traffic(cold, side));
        FlowSoFar {
            flow_id: cold.flow_id,
            source: cold.source,
            mirror: cold.mirror,
            originator,
            responder,
            originator_port: tuple.source_port,
            responder_port: tuple.destination_port,
            protocol: tuple.protocol,
            crossing: if flipped {
                cold.crossing.reversed()
            } else {
                cold.crossing
            },
            crossed: cold.crossing,
            flipped,
            packets: traffic[0].packets + traffic[1].packets,
            bytes: traffic[0].bytes + traffic[1].bytes,
            originator_flags: if is_tcp(&self.key) {
                cold.tcp.flags(Side::Originator)
            } else {
                0
            },
            label: self.label,
            now,
            at,
        }
    }

    /// Counts a packet; says whether one side sent another [`LARGE_BYTES`] or as many packets.
    /// The small counters carry into the cold entry then, long before they overflow.
    #[inline]
    pub(crate) fn count(&mut self, cold: &mut Cold, amount: &Amount) -> bool {
        let at = usize::from(amount.side == Side::Responder);
        if !is_tcp(&self.key) {
            cold.payload_bytes[at] += u64::from(amount.payload_bytes);
        }
        let (packets, bytes, ip_bytes) = (
            &mut self.packets[at],
            &mut self.bytes[at],
            &mut self.ip_bytes[at],
        );
        // Every counter is below 2²³ before the addition, and no frame is anywhere near 4 GiB.
        *packets = packets.wrapping_add(1);
        *bytes = bytes.wrapping_add(amount.bytes);
        *ip_bytes = ip_bytes.wrapping_add(amount.ip_bytes);
        if (*packets | *bytes | *ip_bytes) & CARRIED != 0 {
            let carried = &mut cold.carried[at];
            // One packet stays behind, so that `answered` needs no look at the cold entry.
            carried.packets += u64::from(std::mem::replace(packets, 1) - 1);
            carried.bytes += u64::from(std::mem::take(bytes));
            carried.ip_bytes += u64::from(std::mem::take(ip_bytes));
            return true;
        }
        false
    }

    fn traffic(&self, cold: &Cold, side: Side) -> Traffic {
        let at = usize::from(side == Side::Responder);
        let carried = &cold.carried[at];
        let payload_bytes = if is_tcp(&self.key) {
            cold.tcp.payload_bytes(side)
        } else {
            cold.payload_bytes[at]
        };
        Traffic {
            packets: carried.packets + u64::from(self.packets[at]),
            bytes: carried.bytes + u64::from(self.bytes[at]),
            ip_bytes: carried.ip_bytes + u64::from(self.ip_bytes[at]),
            payload_bytes,
        }
    }

    /// The flow as somebody who looks for its packets sees it.
    pub(crate) fn sighting(&self, cold: &Cold, open: bool) -> Sighting {
        let traffic = [Side::Originator, Side::Responder].map(|side| self.traffic(cold, side));
        Sighting {
            flow_id: cold.flow_id,
            source: cold.mirror,
            tuple: self.key.tuple(self.flags & ORIGINATOR_HIGH != 0),
            packets: traffic[0].packets + traffic[1].packets,
            start: cold.start,
            end: self.end.max(cold.start),
            open,
            ring: cold.ring,
        }
    }

    /// The record of the flow as it stands.
    pub(crate) fn record(
        &self,
        cold: &Cold,
        reason: CloseReason,
        closed: Timestamp,
        at: u64,
    ) -> FlowRecord {
        let tuple = self.key.tuple(self.flags & ORIGINATOR_HIGH != 0);
        let (originator, responder) = tuple.addresses.pair();
        let protocol = tuple.protocol;
        let (forward, reverse) = (
            self.traffic(cold, Side::Originator),
            self.traffic(cold, Side::Responder),
        );
        let flipped = self.flags & FLIPPED != 0;
        let packets = (forward.packets, reverse.packets);
        let (conn_state, history) = if is_tcp(&self.key) {
            (cold.tcp.conn_state(), cold.tcp.history())
        } else {
            (
                tcp::datagram_conn_state(protocol, packets.0, packets.1),
                tcp::datagram_history(protocol, flipped, packets.0, packets.1),
            )
        };
        FlowRecord {
            flow_id: cold.flow_id,
            source: cold.mirror,
            originator,
            responder,
            originator_port: tuple.source_port,
            responder_port: tuple.destination_port,
            protocol,
            icmp: cold.icmp[0],
            icmp_response: cold.icmp[1],
            vlan: cold.vlan,
            vlan_count: cold.vlan_count,
            start: cold.start,
            end: self.end.max(cold.start),
            closed,
            forward,
            reverse,
            tcp: is_tcp(&self.key).then(|| tcp_record(&cold.tcp)),
            conn_state,
            history,
            community_id: CommunityId::new(0, &tuple),
            reason,
            crossing: cold.crossing,
            closed_at: at,
            late_packets: cold.late_packets,
            mark: None,
            identity: None,
        }
    }
}

#[inline]
pub(crate) fn is_tcp<K: Key>(key: &K) -> bool {
    key.protocol() == vxscope_wire::protocol::TCP
}

fn tcp_record(tcp: &Tcp) -> TcpRecord {
    TcpRecord {
        originator_flags: tcp.flags(Side::Originator),
        responder_flags: tcp.flags(Side::Responder),
        phase: tcp.phase(),
        missed_bytes: tcp.missed_bytes(),
    }
}

impl Cold {
    /// Starts fetching what `segment` touches besides the first part, if that is more than nothing.
    #[inline(always)]
    pub(crate) fn prefetch_rest(&self, segment: &TcpSegment) {
        if !self.tcp.probably_goes_on(segment) {
            prefetch_part(self, TOUCHED_FIRST..TOUCHED);
        }
    }

    pub(crate) fn new(opening: &Opening) -> Self {
        Self {
            ring: RingState::default(),
            flow_id: opening.flow_id,
            source: opening.source,
            payload_bytes: [0; 2],
            tcp: opening.tcp,
            start: opening.start,
            start_second: opening.second,
            mirror: opening.mirror,
            carried: [Traffic::default(); 2],
            late_packets: 0,
            icmp: [None; 2],
            vlan: opening.vlan,
            vlan_count: opening.vlan_count,
            crossing: opening.crossing,
        }
    }
}
