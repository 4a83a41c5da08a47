//! All flows of one worker: lookup, opening, counting, storing, closing.
//!
//! A packet is handled in four calls, so that a batch can overlap their cache misses:
//! [`Flows::prepare`] (key and hash, fetches the bucket), [`Flows::prefetch`] (fetches the
//! entries), [`Flows::prefetch_more`] (fetches where it will be stored), [`Flows::observe`]. State changes only in `observe`, on the flow's own packet, and
//! in [`Flows::tick`], which all workers call at the same places of the input: that is why the
//! number of workers shows in no output.

use std::io;

use foldhash::fast::FixedState;
use vxscope_units::{MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::{Addresses, Class, FrameView, TcpSegment, Tuple};

use crate::closed::ClosedFlows;
use crate::closing::Closing;
use crate::entry::{Cold, Entry, FLIPPED, Hot, ORIGINATOR_HIGH, Opening};
use crate::key::{Key4, Key6, Scope};
use crate::label::{Label, Milestone};
use crate::limit::{FlowLimits, FlowScope, Untracked};
use crate::record::{CloseReason, Crossing};
use crate::ring::{RingFill, Rings, Unstored};
use crate::state::{FamilyNumber, SecondHand, State, second};
use crate::table::Table;
use crate::tcp::{self, Tcp};

/// Memory of one IPv4 flow: entries, index, timer and free list.
pub const BYTES_PER_FLOW: usize = size_of::<Entry<Key4>>() + 2 * 8 + 12 + 4;

/// A frame on its way into the flow table. Without the bytes, so that a batch of them needs no
/// new memory each time.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Position in the input.
    pub index: u64,
    /// Capture time.
    pub timestamp: Timestamp,
    /// The worker's clock: the largest capture time so far.
    pub now: Timestamp,
    /// Row of the mirror source.
    pub source: SourceId,
    /// The mirror source itself.
    pub mirror: MirrorSource,
    /// What the frame says; later fragments have joined ports.
    pub view: FrameView,
    /// Which way it crosses the mirrored interface.
    pub crossing: Crossing,
}

/// No packet.
impl Default for Packet {
    fn default() -> Self {
        Self {
            index: 0,
            timestamp: Timestamp::ZERO,
            now: Timestamp::ZERO,
            source: SourceId::default(),
            mirror: MirrorSource {
                address: std::net::Ipv4Addr::UNSPECIFIED.into(),
                vni: Vni::ZERO,
            },
            view: FrameView::default(),
            crossing: Crossing::Unknown,
        }
    }
}

/// A packet's key and hash, computed ahead of its turn. It stays where it is and is written
/// anew for each packet.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    key: PreparedKey,
    tag: u32,
    /// Where the flow was when its entries were fetched.
    slot: u32,
    /// Whether the packet travels from its key's high endpoint to the low one.
    from_high: bool,
}

/// A key of either family, or why there is none.
#[derive(Clone, Copy, Debug)]
enum PreparedKey {
    V4(Key4),
    V6(Key6),
    None(Untracked),
}

/// No slot.
const NOWHERE: u32 = u32::MAX;

impl Prepared {
    /// That of a packet which belongs to no flow here, whatever it says.
    #[must_use]
    pub const fn untracked(reason: Untracked) -> Self {
        Self {
            key: PreparedKey::None(reason),
            tag: 0,
            slot: NOWHERE,
            from_high: false,
        }
    }
}

/// That of no packet.
impl Default for Prepared {
    fn default() -> Self {
        Self::untracked(Untracked::Truncated)
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// In a flow, or why not.
    pub tracked: Result<(), Untracked>,
    /// In a ring, or why not.
    pub stored: Result<(), Unstored>,
    /// It opened a flow.
    pub opened: bool,
    /// The label of its flow.
    pub label: Label,
}

impl Observed {
    /// Of a packet in no flow, and so in no ring.
    const fn untracked(reason: Untracked) -> Self {
        Self {
            tracked: Err(reason),
            stored: Err(Unstored::Untracked),
            opened: false,
            label: Label::NONE,
        }
    }
}

/// Flow tables and rings of one worker.
#[derive(Debug)]
pub struct Flows {
    pub(crate) v4: Table<Key4>,
    pub(crate) v6: Table<Key6>,
    pub(crate) state: State,
    expired: Vec<(u64, Slot)>,
    due: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    V4(u32),
    V6(u32),
}

/// Ties a key type to its table.
trait Family: FamilyNumber {
    fn table(flows: &mut Flows) -> (&mut Table<Self>, &mut State);
}

impl FamilyNumber for Key4 {
    const FAMILY: usize = 0;
}

impl FamilyNumber for Key6 {
    const FAMILY: usize = 1;
}

impl Family for Key4 {
    fn table(flows: &mut Flows) -> (&mut Table<Self>, &mut State) {
        (&mut flows.v4, &mut flows.state)
    }
}

impl Family for Key6 {
    fn table(flows: &mut Flows) -> (&mut Table<Self>, &mut State) {
        (&mut flows.v6, &mut flows.state)
    }
}

impl Flows {
    /// Reserves all memory; it is touched when used.
    ///
    /// # Errors
    /// What the kernel says when it has no address space left.
    pub fn try_new(limits: FlowLimits) -> io::Result<Self> {
        let sources = limits.sources_max as usize;
        let rings = limits
            .rings
            .map(|sizes| Rings::try_new(sizes, sources))
            .transpose()?;
        Ok(Self {
            v4: Table::try_new(limits.flows_max)?,
            v6: Table::try_new(limits.flows_max)?,
            state: State {
                limits,
                rings,
                hasher: FixedState::with_seed(limits.hash_seed),
                live: [0; 2],
                held: vec![0; sources.saturating_add(1)],
                largest: SourceId::default(),
                closed: ClosedFlows::try_new(limits.closed_max)?,
                second_hand: SecondHand::default(),
            },
            expired: Vec::new(),
            due: Vec::new(),
        })
    }

    /// Touches the memory of the rings, so that no packet pays for the first use of a page.
    pub fn prefault(&mut self) {
        if let Some(rings) = &mut self.state.rings {
            rings.prefault();
        }
    }

    /// Key and hash of a packet; starts fetching its bucket.
    #[inline(always)]
    pub fn prepare(&self, prepared: &mut Prepared, source: SourceId, vni: Vni, view: &FrameView) {
        if view.class != Class::Ip || source.get() >= self.state.limits.sources_max {
            *prepared = Prepared::untracked(refusal(view.class));
            return;
        }
        let scope = match self.state.limits.scope {
            FlowScope::Source => Scope::new(source.get()),
            FlowScope::Vni => Scope::new(vni.get()),
        };
        prepared.slot = NOWHERE;
        match &view.tuple.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let (key, from_high) = Key4::new(*source, *destination, &view.tuple, scope);
                prepared.key = PreparedKey::V4(key);
                prepared.from_high = from_high;
                prepared.tag = self.state.tag(&key);
                self.v4.prefetch_index(prepared.tag);
            }
            Addresses::V6 {
                source,
                destination,
            } => self.prepare_v6(prepared, (source, destination), scope, &view.tuple),
        }
    }

    // Out of line, as all that is not IPv4.
    #[inline(never)]
    fn prepare_v6(
        &self,
        prepared: &mut Prepared,
        (source, destination): (&[u8; 16], &[u8; 16]),
        scope: Scope,
        tuple: &Tuple,
    ) {
        let (key, from_high) = Key6::new(source, destination, tuple, scope);
        prepared.key = PreparedKey::V6(key);
        prepared.from_high = from_high;
        prepared.tag = self.state.tag(&key);
        self.v6.prefetch_index(prepared.tag);
    }

    /// Starts fetching the entries of a prepared packet's flow.
    #[inline(always)]
    pub fn prefetch(&self, prepared: &mut Prepared) {
        let slot = match &prepared.key {
            PreparedKey::V4(_) => self.v4.prefetch_entry(prepared.tag),
            PreparedKey::V6(_) => self.v6.prefetch_entry(prepared.tag),
            PreparedKey::None(_) => None,
        };
        prepared.slot = slot.unwrap_or(NOWHERE);
    }

    /// Starts fetching what else a packet touches, once the entries of its flow are there: the rest
    /// of them, if it may need that, and where it will be stored.
    #[inline(always)]
    pub fn prefetch_more(&self, prepared: &Prepared, segment: &TcpSegment) {
        let cold = match &prepared.key {
            PreparedKey::V4(_) => self.v4.cold(prepared.slot),
            PreparedKey::V6(_) => self.v6.cold(prepared.slot),
            PreparedKey::None(_) => None,
        };
        let Some(cold) = cold else { return };
        cold.prefetch_rest(segment);
        if let Some(rings) = &self.state.rings {
            rings.prefetch(&cold.ring);
        }
    }

    /// Counts and stores a packet with its captured bytes in its flow, which it may open, end or
    /// end and open anew.
    #[inline]
    pub fn observe(
        &mut self,
        prepared: &Prepared,
        packet: &Packet,
        frame: &[u8],
        closing: &mut impl Closing,
    ) -> Observed {
        match &prepared.key {
            PreparedKey::V4(key) => self.observe_in(key, prepared, packet, frame, closing),
            PreparedKey::V6(key) => self.observe_v6(key, prepared, packet, frame, closing),
            PreparedKey::None(reason) => Observed::untracked(*reason),
        }
    }

    // Out of line, so that what there is most of stays small.
    #[inline(never)]
    fn observe_v6(
        &mut self,
        key: &Key6,
        prepared: &Prepared,
        packet: &Packet,
        frame: &[u8],
        closing: &mut impl Closing,
    ) -> Observed {
        self.observe_in(key, prepared, packet, frame, closing)
    }

    #[inline(always)]
    fn observe_in<K: Family>(
        &mut self,
        key: &K,
        prepared: &Prepared,
        packet: &Packet,
        frame: &[u8],
        closing: &mut impl Closing,
    ) -> Observed {
        let (table, state) = K::table(self);
        let from_high = prepared.from_high;
        let mut opened = false;
        let mut slot = table.find_near(prepared.slot, prepared.tag, key);
        // Nearly every packet belongs to a flow that goes on.
        if slot.is_none_or(|slot| state.ends(table, slot, packet).is_some()) {
            match self.open_anew(key, slot, prepared, packet, closing) {
                Ok(new) => slot = Some(new),
                Err(reason) => return Observed::untracked(reason),
            }
            opened = true;
        }
        let (table, state) = K::table(self);
        let entries = slot.and_then(|slot| Some((slot, table.get_mut(slot)?)));
        let Some((slot, (hot, cold))) = entries else {
            return Observed::untracked(Untracked::TableFull);
        };
        let (stored, rearm) = state.update(hot, cold, from_high, packet, frame, closing);
        let label = hot.label;
        if rearm {
            state.arm(table, slot, false);
        }
        Observed {
            tracked: Ok(()),
            stored,
            opened,
            label,
        }
    }

    /// Opens a flow; if there was one at `slot` that this packet ends, after it was closed.
    #[inline(never)]
    fn open_anew<K: Family>(
        &mut self,
        key: &K,
        slot: Option<u32>,
        prepared: &Prepared,
        packet: &Packet,
        closing: &mut impl Closing,
    ) -> Result<u32, Untracked> {
        let (table, state) = K::table(self);
        if let Some(slot) = slot
            && let Some(reason) = state.ends(table, slot, packet)
        {
            state.close(table, slot, reason, packet.now, packet.index, closing);
        }
        self.open(*key, prepared.from_high, prepared.tag, packet, closing)
    }

    /// Opens a flow, for which another one may have to go.
    fn open<K: Family>(
        &mut self,
        key: K,
        from_high: bool,
        tag: u32,
        packet: &Packet,
        closing: &mut impl Closing,
    ) -> Result<u32, Untracked> {
        self.make_room(packet, closing)?;
        let (table, state) = K::table(self);
        let (flags, tcp) = roles(&packet.view, from_high);
        let opening = Opening {
            flow_id: flow_id(state.limits.id_seed, &packet.mirror, key.words(), packet),
            source: packet.source,
            mirror: packet.mirror,
            start: packet.timestamp,
            second: second(packet.now),
            vlan: packet.view.vlan,
            vlan_count: packet.view.vlan_count.min(2),
            crossing: packet.crossing,
            tcp,
        };
        let mut entry = Entry {
            hot: Hot::new(key, tag, flags, &opening),
            cold: Cold::new(&opening),
        };
        let flow = entry.hot.so_far(&entry.cold, packet.now, packet.index);
        entry.hot.label = closing.handle_milestone(&flow, Milestone::Opened);
        let slot = table.insert(&entry).ok_or(Untracked::TableFull)?;
        state.live[K::FAMILY] += 1;
        if let Some(held) = state.held.get_mut(packet.source.index()) {
            *held += 1;
        }
        if state.held_by(packet.source) >= state.held_by(state.largest) {
            state.largest = packet.source;
        }
        // Hung up at the next second; its own timeout follows with the first update.
        state.arm(table, slot, true);
        Ok(slot)
    }

    fn make_room(&mut self, packet: &Packet, closing: &mut impl Closing) -> Result<(), Untracked> {
        let state = &self.state;
        let live = state.live[0] + state.live[1];
        if live < state.limits.flows_max {
            return Ok(());
        }
        let own = state.held_by(packet.source);
        let over = own as usize >= state.limits.source_flows_max;
        let alone = own as usize == live;
        if over && !alone {
            return Err(Untracked::SourceBudget);
        }
        // A flood can push out only flows of a source that holds more, and else its own.
        let bigger = state.held_by(state.largest) > own;
        let evicted = if state.live[0] >= state.live[1] {
            bigger && self.evict::<Key4>(packet, closing, |held, _| held > own)
                || self.evict::<Key4>(packet, closing, |_, source| source == packet.source)
        } else {
            bigger && self.evict::<Key6>(packet, closing, |held, _| held > own)
                || self.evict::<Key6>(packet, closing, |_, source| source == packet.source)
        };
        if evicted {
            Ok(())
        } else {
            Err(Untracked::TableFull)
        }
    }

    fn evict<K: Family>(
        &mut self,
        packet: &Packet,
        closing: &mut impl Closing,
        may_evict: impl Fn(u32, SourceId) -> bool,
    ) -> bool {
        let (table, state) = K::table(self);
        let victim = table.victim(|cold| may_evict(state.held_by(cold.source), cold.source));
        let Some(slot) = victim else { return false };
        state.close(
            table,
            slot,
            CloseReason::Evicted,
            packet.now,
            packet.index,
            closing,
        );
        true
    }

    /// The clock reached `second`: ends the flows whose time is over, in the order of their ids.
    pub fn tick(&mut self, second: u64, index: u64, closing: &mut impl Closing) {
        let second = second.min(u64::from(u32::MAX));
        self.expired.clear();
        let mut expired = std::mem::take(&mut self.expired);
        let mut due = std::mem::take(&mut self.due);
        collect_expired::<Key4>(self, second, &mut due, &mut expired, Slot::V4);
        collect_expired::<Key6>(self, second, &mut due, &mut expired, Slot::V6);
        expired.sort_unstable();
        let now = Timestamp::new(second, 0);
        for (_, slot) in &expired {
            self.close(*slot, None, now, index, closing);
        }
        self.expired = expired;
        self.due = due;
    }

    /// The input ended: ends every flow, in the order of their ids.
    pub fn close_all(&mut self, now: Timestamp, index: u64, closing: &mut impl Closing) {
        let mut all = std::mem::take(&mut self.expired);
        all.clear();
        let id4 = |slot| self.v4.get(slot).map_or(0, |(_, cold)| cold.flow_id);
        let id6 = |slot| self.v6.get(slot).map_or(0, |(_, cold)| cold.flow_id);
        all.extend(self.v4.live().map(|slot| (id4(slot), Slot::V4(slot))));
        all.extend(self.v6.live().map(|slot| (id6(slot), Slot::V6(slot))));
        all.sort_unstable();
        for (_, slot) in &all {
            self.close(*slot, Some(CloseReason::Shutdown), now, index, closing);
        }
        self.expired = all;
    }

    fn close(
        &mut self,
        slot: Slot,
        reason: Option<CloseReason>,
        now: Timestamp,
        index: u64,
        closing: &mut impl Closing,
    ) {
        match slot {
            Slot::V4(slot) => close_in::<Key4>(self, slot, reason, now, index, closing),
            Slot::V6(slot) => close_in::<Key6>(self, slot, reason, now, index, closing),
        }
    }

    /// Flows in the tables.
    #[must_use]
    pub fn live(&self) -> usize {
        self.state.live[0] + self.state.live[1]
    }

    /// The most index entries one insertion had to look at: far above 50, somebody collides hashes.
    #[must_use]
    pub fn longest_probe(&self) -> usize {
        self.v4.longest_probe().max(self.v6.longest_probe())
    }

    /// How full the rings are; all zero without rings.
    #[must_use]
    pub fn ring_fill(&self) -> RingFill {
        let rings = self.state.rings.as_ref();
        rings.map_or_else(RingFill::default, Rings::fill)
    }

    /// Times of the oldest frames in the head and the tail log: how far one can look back.
    #[must_use]
    pub fn oldest_stored(&self) -> [Option<Timestamp>; 2] {
        self.state.rings.as_ref().map_or([None; 2], Rings::oldest)
    }
}

fn close_in<K: Family>(
    flows: &mut Flows,
    slot: u32,
    reason: Option<CloseReason>,
    now: Timestamp,
    index: u64,
    closing: &mut impl Closing,
) {
    let (table, state) = K::table(flows);
    let Some((hot, cold)) = table.get(slot) else {
        return;
    };
    let reason = reason.unwrap_or_else(|| state.timeout_reason(hot, cold, now));
    state.close(table, slot, reason, now, index, closing);
}

fn collect_expired<K: Family>(
    flows: &mut Flows,
    second: u64,
    due: &mut Vec<u32>,
    expired: &mut Vec<(u64, Slot)>,
    slot_of: fn(u32) -> Slot,
) {
    due.clear();
    let (table, state) = K::table(flows);
    table.wheel.advance(second, due);
    for slot in due.iter().copied() {
        let Some((hot, cold)) = table.get(slot) else {
            continue;
        };
        let deadline = state.deadline(hot, cold);
        if deadline <= second {
            expired.push((cold.flow_id, slot_of(slot)));
        } else {
            table.wheel.hang(slot, deadline);
        }
    }
}

/// Why a frame without a place in a flow has none.
#[cold]
fn refusal(class: Class) -> Untracked {
    match class {
        Class::Ip => Untracked::SourceLimit,
        Class::NonIp => Untracked::NonIp,
        Class::Malformed => Untracked::MalformedIp,
        Class::Truncated => Untracked::Truncated,
    }
}

/// Who is the originator, judged by the first packet.
fn roles(view: &FrameView, from_high: bool) -> (u8, Tcp) {
    let reversed = tcp::opens_reversed(&view.tuple, &view.tcp);
    let originator_high = from_high != reversed;
    let flags = if originator_high { ORIGINATOR_HIGH } else { 0 };
    (
        flags | if reversed { FLIPPED } else { 0 },
        Tcp::new(reversed),
    )
}

/// A hash of what makes the flow this one, below 2⁵³ so that every JSON reader keeps it exactly.
fn flow_id(seed: u64, mirror: &MirrorSource, key: [u64; 5], packet: &Packet) -> u64 {
    let address = match mirror.address {
        std::net::IpAddr::V4(address) => u128::from(address.to_bits()),
        std::net::IpAddr::V6(address) => address.to_bits(),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the address"
    )]
    let source = [
        (address >> 64) as u64,
        address as u64,
        u64::from(mirror.vni.get()),
    ];
    let moment = [packet.timestamp.as_nanos(), packet.index];
    let words = source.into_iter().chain(key).chain(moment);
    words.fold(mix(seed), |hash, word| mix(hash ^ word)) >> 11
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): every input bit moves every output bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
