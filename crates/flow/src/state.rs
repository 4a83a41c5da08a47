//! What both flow tables share, and what happens to one flow: a packet, its timer, its end.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use vxscope_units::{SourceId, Timestamp};
use vxscope_wire::{FrameView, protocol};

use crate::closed::ClosedFlows;
use crate::closing::{Closing, StoredFrames};
use crate::entry::{Amount, Cold, Hot};
use crate::flows::Packet;
use crate::key::Key;
use crate::label::Milestone;
use crate::limit::FlowLimits;
use crate::record::CloseReason;
use crate::ring::{NewFrame, Rings, Unstored};
use crate::table::Table;
use crate::tcp::{Close, Side, TcpPhase};

/// What both tables share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: FlowLimits,
    pub(crate) rings: Option<Rings>,
    pub(crate) hasher: FixedState,
    pub(crate) live: [usize; 2],
    /// Live flows of each source.
    pub(crate) held: Vec<u32>,
    /// The source that held the most flows when it last opened one.
    pub(crate) largest: SourceId,
    /// Flows that ended, for those who look for their packets.
    pub(crate) closed: ClosedFlows,
    pub(crate) second_hand: SecondHand,
}

/// The second of a clock that moves on slowly, without a division for each packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SecondHand {
    /// When the second began.
    start: Timestamp,
    second: u32,
}

impl SecondHand {
    /// As [`second`].
    #[inline]
    fn second(&mut self, now: Timestamp) -> u32 {
        if now.as_nanos().wrapping_sub(self.start.as_nanos()) >= 1_000_000_000 {
            self.move_to(now);
        }
        self.second
    }

    #[cold]
    fn move_to(&mut self, now: Timestamp) {
        self.start = Timestamp::new(now.seconds(), 0);
        self.second = second(now);
    }
}

impl State {
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the tag is the low half of the hash"
    )]
    pub(crate) fn tag<K: Key>(&self, key: &K) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    pub(crate) fn held_by(&self, source: SourceId) -> u32 {
        self.held.get(source.index()).copied().unwrap_or(0)
    }

    /// Whether a packet of an existing flow ends it first.
    #[inline]
    pub(crate) fn ends<K: Key>(
        &self,
        table: &Table<K>,
        slot: u32,
        packet: &Packet,
    ) -> Option<CloseReason> {
        // Nearly every packet is answered without a look at the flow. Only TCP has flags.
        let is_syn = packet.view.tcp.flags & vxscope_wire::flag::SYN != 0;
        if !is_syn && self.limits.active_timeout == 0 {
            return None;
        }
        let (hot, cold) = table.get(slot)?;
        if is_syn && hot.key.protocol() == protocol::TCP && cold.tcp.is_reuse(&packet.view.tcp) {
            return Some(CloseReason::TcpReuse);
        }
        self.is_too_old(cold, second(packet.now).into())
            .then_some(CloseReason::Active)
    }

    #[inline]
    fn is_too_old(&self, cold: &Cold, second: u64) -> bool {
        let limit = self.limits.active_timeout;
        limit > 0 && second >= u64::from(cold.start_second) + u64::from(limit)
    }

    /// Takes a packet into its flow. Whether it is in a ring, and whether the flow may be over
    /// sooner now than its timer knows.
    #[inline(always)]
    pub(crate) fn update<K: Key>(
        &mut self,
        hot: &mut Hot<K>,
        cold: &mut Cold,
        from_high: bool,
        packet: &Packet,
        frame: &[u8],
        closing: &mut impl Closing,
    ) -> (Result<(), Unstored>, bool) {
        let view = &packet.view;
        let side = hot.side(from_high);
        if hot.label.is_open() {
            reconsider(hot, cold, side, packet, closing);
        }
        hot.end = hot.end.max(packet.timestamp);
        hot.second = self.second_hand.second(packet.now);
        let amount = Amount {
            side,
            bytes: view.captured_len,
            ip_bytes: view.ip_len,
            payload_bytes: view.payload_len,
        };
        if hot.count(cold, &amount) {
            grow(hot, cold, packet, closing);
        }
        let timeout = self.timeout_after(hot, cold, side, view);
        // A longer timeout takes effect when the old deadline comes up.
        let shorter = timeout < hot.timeout || hot.timeout == 0;
        hot.timeout = timeout;
        let stored = match &mut self.rings {
            None => Err(Unstored::Disabled),
            Some(rings) => {
                let new = NewFrame {
                    flow_id: cold.flow_id,
                    source: packet.source,
                    timestamp: packet.timestamp,
                    frame,
                    original_len: view.original_len,
                    reverse: side == Side::Responder,
                };
                rings.store(&mut cold.ring, &new)
            }
        };
        (stored, shorter)
    }

    /// Takes the packet into the flow's state; the timeout that it now has.
    #[inline]
    fn timeout_after<K: Key>(
        &self,
        hot: &Hot<K>,
        cold: &mut Cold,
        side: Side,
        view: &FrameView,
    ) -> u32 {
        let protocol = hot.key.protocol();
        if protocol != protocol::TCP {
            note_icmp(cold, side, view);
            return self.limits.timeouts.of_datagrams(protocol, hot.answered());
        }
        if view.transport_offset == 0 {
            // A later fragment says nothing about the connection.
            return if hot.timeout == 0 {
                self.limits.timeouts.tcp.new
            } else {
                hot.timeout
            };
        }
        // Only a flow with this timeout can be over; for all others this is one comparison.
        let may_be_over = hot.timeout == self.limits.timeouts.tcp.closed;
        let is_late =
            may_be_over && matches!(cold.tcp.phase(), TcpPhase::TimeWait | TcpPhase::Closed);
        if is_late {
            cold.late_packets += 1;
        }
        if !cold.tcp.observe(side, &view.tcp, view.payload_len) {
            return hot.timeout;
        }
        self.limits
            .timeouts
            .of_tcp(cold.tcp.phase(), cold.tcp.closed_by().is_some())
    }

    /// Hangs a flow up at its deadline.
    pub(crate) fn arm<K: Key>(&self, table: &mut Table<K>, slot: u32, first: bool) {
        let Some((hot, cold)) = table.get(slot) else {
            return;
        };
        let deadline = self.deadline(hot, cold);
        if !first {
            table.wheel.unhang(slot);
        }
        table.wheel.hang(slot, deadline);
    }

    /// The second at which a flow is over if nothing more comes. One second is added because
    /// the last packet's second is rounded down: no flow ends early.
    pub(crate) fn deadline<K: Key>(&self, hot: &Hot<K>, cold: &Cold) -> u64 {
        let idle = u64::from(hot.second) + u64::from(hot.timeout) + 1;
        match self.limits.active_timeout {
            0 => idle,
            limit => idle.min(u64::from(cold.start_second) + u64::from(limit)),
        }
    }

    pub(crate) fn timeout_reason<K: Key>(
        &self,
        hot: &Hot<K>,
        cold: &Cold,
        now: Timestamp,
    ) -> CloseReason {
        let idle = u64::from(hot.second) + u64::from(hot.timeout) + 1;
        if idle > now.seconds() && self.is_too_old(cold, now.seconds()) {
            CloseReason::Active
        } else {
            CloseReason::Idle
        }
    }

    /// Ends a flow: its record, its frames, its place.
    pub(crate) fn close<K: FamilyNumber>(
        &mut self,
        table: &mut Table<K>,
        slot: u32,
        reason: CloseReason,
        now: Timestamp,
        index: u64,
        closing: &mut impl Closing,
    ) {
        let Some((hot, cold)) = table.get(slot) else {
            return;
        };
        let is_tcp = hot.key.protocol() == protocol::TCP;
        let reason = match (reason, is_tcp.then(|| cold.tcp.closed_by()).flatten()) {
            (CloseReason::Idle | CloseReason::Shutdown, Some(Close::Fin)) => CloseReason::Fin,
            (CloseReason::Idle | CloseReason::Shutdown, Some(Close::Rst)) => CloseReason::Rst,
            (reason, _) => reason,
        };
        closing.count_closed(cold.source, reason);
        if hot.label.is_open() {
            closing.handle_milestone(&hot.so_far(cold, now, index), Milestone::Ended);
        }
        if closing.wants_records() {
            let record = hot.record(cold, reason, now, index);
            let rings = self.rings.as_ref();
            closing.handle_closed(&record, &StoredFrames { rings, cold });
        }
        if let Some(rings) = &mut self.rings {
            self.closed.push(hot.sighting(cold, false));
            rings.release(&cold.ring);
        }
        if let Some(held) = self.held.get_mut(cold.source.index()) {
            *held = held.saturating_sub(1);
        }
        self.live[K::FAMILY] = self.live[K::FAMILY].saturating_sub(1);
        table.remove(slot);
    }
}

/// A packet of a flow whose label is open, before it is counted.
// Out of line: a long flow comes here once.
#[inline(never)]
fn reconsider<K: Key>(
    hot: &mut Hot<K>,
    cold: &Cold,
    side: Side,
    packet: &Packet,
    closing: &mut impl Closing,
) {
    if let Some(milestone) = hot.milestone(cold, side, packet) {
        let flow = hot.so_far(cold, packet.now, packet.index);
        hot.label = closing.handle_milestone(&flow, milestone);
    }
}

/// One side sent a lot. The packet that brought it bears the new label already.
#[cold]
fn grow<K: Key>(hot: &mut Hot<K>, cold: &Cold, packet: &Packet, closing: &mut impl Closing) {
    // An open label has bytes to move, and this packet's are not among them yet.
    if !hot.label.is_open() {
        let flow = hot.so_far(cold, packet.now, packet.index);
        hot.label = closing.handle_milestone(&flow, Milestone::Large);
    }
}

/// Which of the two counters of live flows a key type belongs to.
pub(crate) trait FamilyNumber: Key {
    const FAMILY: usize;
}

#[inline]
fn note_icmp(cold: &mut Cold, side: Side, view: &FrameView) {
    if view.tuple.protocol == protocol::ICMP || view.tuple.protocol == protocol::ICMPV6 {
        let at = usize::from(side == Side::Responder);
        if cold.icmp[at].is_none() && view.transport_offset != 0 {
            cold.icmp[at] = Some((view.icmp_type, view.icmp_code));
        }
    }
}

/// Seconds fit 32 bits until 2106; later clocks stand still there, and flows end at shutdown.
#[inline]
pub(crate) fn second(now: Timestamp) -> u32 {
    u32::try_from(now.seconds()).unwrap_or(u32::MAX)
}
