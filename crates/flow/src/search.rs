//! Looking for flows among those of one worker, open and closed, a bounded number of places at a
//! time: whoever asks never stalls the packets.

use std::net::IpAddr;

use vxscope_units::{MirrorSource, SourceId, Vni};
use vxscope_wire::{Addresses, Tuple, protocol};

use crate::closed::Sighting;
use crate::community_id::CommunityId;
use crate::entry::LIVE;
use crate::flows::Flows;
use crate::key::{Key, Key4, Key6, Scope};
use crate::limit::FlowScope;
use crate::ring::{Reader, StoredFrame};
use crate::source::Sources;
use crate::table::Table;

/// What a place of a flow table costs, in steps: its entries are on their way from memory.
const SLOT_STEPS: usize = 2;
/// What a Community ID costs, in steps: it is a hash of what a flow is.
const HASH_STEPS: usize = 8;

/// Which flows are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this id.
    Flow(u64),
    /// Those with this Community ID.
    Community(CommunityId),
    /// Those with these ends, in both directions but for one-way ICMP. What has no ports is found
    /// whatever ports are given.
    Tuple(Tuple),
    /// Those between two addresses, of one protocol or of all.
    Pair([IpAddr; 2], Option<u8>),
    /// Those with this address at one end.
    Address(IpAddr),
    /// All.
    Any,
}

/// A search under way: see [`Flows::search`].
#[derive(Clone, Debug)]
pub struct Search {
    which: Which,
    vni: Option<Vni>,
    address: Option<IpAddr>,
    stage: Stage,
}

/// Open flows first: one that closes meanwhile is found among the closed ones, or twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Open flows by their key, for each source in turn.
    Sources(u32),
    /// Open IPv4 flows, place by place.
    V4(u32),
    /// The same of IPv6.
    V6(u32),
    /// Closed flows of smaller numbers; `None` before the newest.
    Closed(Option<u64>),
    Done,
}

impl Search {
    /// For flows of any source; a VNI and the address of a mirror source narrow that down.
    #[must_use]
    pub fn new(which: Which, vni: Option<Vni>, address: Option<IpAddr>) -> Self {
        let stage = match &which {
            // A key holds the ports, so it does not find what is to be found without them.
            Which::Tuple(tuple) if has_ports(tuple.protocol) => Stage::Sources(0),
            _ => Stage::V4(0),
        };
        Self {
            which,
            vni,
            address,
            stage,
        }
    }

    /// Whether every place has been looked at.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn is_of(&self, source: MirrorSource) -> bool {
        self.vni.is_none_or(|vni| vni == source.vni)
            && self.address.is_none_or(|address| address == source.address)
    }

    fn matches(&self, flow: &Sighting) -> bool {
        self.is_of(flow.source)
            && match &self.which {
                Which::Flow(id) => *id == flow.flow_id,
                Which::Community(id) => *id == flow.community_id(),
                which => which.has_packet(&flow.tuple),
            }
    }

    fn steps(&self) -> usize {
        match self.which {
            Which::Community(_) => HASH_STEPS,
            _ => 1,
        }
    }
}

/// Whether a packet or a flow with `tuple` has the ends that `wanted` names.
fn are_ends_of(wanted: &Tuple, tuple: &Tuple) -> bool {
    if wanted.protocol != tuple.protocol {
        return false;
    }
    let ports = |tuple: &Tuple| match has_ports(tuple.protocol) || is_icmp(tuple.protocol) {
        true => (tuple.source_port, tuple.destination_port),
        false => (0, 0),
    };
    let (there, found) = (wanted.addresses.pair(), tuple.addresses.pair());
    let (ports, found_ports) = (ports(wanted), ports(tuple));
    let forward = there == found && ports == found_ports;
    let swapped = (found.1, found.0) == there && (found_ports.1, found_ports.0) == ports;
    forward || swapped && !tuple.one_way
}

fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | protocol::SCTP)
}

fn is_icmp(number: u8) -> bool {
    matches!(number, protocol::ICMP | protocol::ICMPV6)
}

/// One flow's packets on their way out of the rings; see [`Flows::read`].
#[derive(Clone, Debug)]
pub struct Reading(Reader);

impl Flows {
    /// The next flow that a search finds; `None` when `steps` are used up or nothing is left, see
    /// [`Search::is_done`]. A flow that closes during a search may be found twice.
    pub fn search(
        &self,
        search: &mut Search,
        sources: &Sources,
        steps: &mut usize,
    ) -> Option<Sighting> {
        while *steps > 0 && !search.is_done() {
            let found = match search.stage {
                Stage::Sources(row) => self.look_in_source(search, sources, row, steps),
                Stage::V4(slot) => {
                    let next = (Stage::V4(slot.saturating_add(1)), Stage::V6(0));
                    look_at(&self.v4, slot, next, search, steps)
                }
                Stage::V6(slot) => {
                    let next = (Stage::V6(slot.saturating_add(1)), Stage::Closed(None));
                    look_at(&self.v6, slot, next, search, steps)
                }
                Stage::Closed(number) => self.look_back_to(search, number, steps),
                Stage::Done => None,
            };
            if let Some(flow) = found.filter(|flow| search.matches(flow)) {
                return Some(flow);
            }
        }
        None
    }

    /// The flow that a source has under the key that is looked for.
    fn look_in_source(
        &self,
        search: &mut Search,
        sources: &Sources,
        row: u32,
        steps: &mut usize,
    ) -> Option<Sighting> {
        *steps = steps.saturating_sub(1);
        let Which::Tuple(tuple) = search.which else {
            search.stage = Stage::V4(0);
            return None;
        };
        let scope = match (self.state.limits.scope, search.vni) {
            (FlowScope::Vni, Some(vni)) => {
                search.stage = Stage::Closed(None);
                Scope::new(vni.get())
            }
            (FlowScope::Vni, None) => {
                search.stage = Stage::V4(0);
                return None;
            }
            (FlowScope::Source, _) => {
                let Some(source) = sources.get(SourceId::new(row)) else {
                    search.stage = Stage::Closed(None);
                    return None;
                };
                search.stage = Stage::Sources(row.saturating_add(1));
                if !search.is_of(*source) {
                    return None;
                }
                Scope::new(row)
            }
        };
        *steps = steps.saturating_sub(SLOT_STEPS);
        match &tuple.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let (key, _) = Key4::new(*source, *destination, &tuple, scope);
                find(&self.v4, self.state.tag(&key), &key)
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                let (key, _) = Key6::new(source, destination, &tuple, scope);
                find(&self.v6, self.state.tag(&key), &key)
            }
        }
    }

    fn look_back_to(
        &self,
        search: &mut Search,
        number: Option<u64>,
        steps: &mut usize,
    ) -> Option<Sighting> {
        *steps = steps.saturating_sub(search.steps());
        let closed = &self.state.closed;
        let number = number.unwrap_or_else(|| closed.count()).checked_sub(1);
        let found = number.and_then(|number| closed.get(number));
        search.stage = match found {
            Some(_) => Stage::Closed(number),
            None => Stage::Done,
        };
        found.copied()
    }

    /// How many flows ended, and how many of them can still be looked up.
    #[must_use]
    pub fn closed(&self) -> (u64, u64) {
        let count = self.state.closed.count();
        (count, count.min(self.state.limits.closed_max as u64))
    }

    /// Begins to read what the rings hold of a flow now.
    #[must_use]
    pub fn reading(&self, flow: &Sighting) -> Option<Reading> {
        let rings = self.state.rings.as_ref()?;
        Some(Reading(rings.reader(&flow.ring, flow.flow_id)))
    }

    /// Visits further frames, oldest first, for about `budget` bytes of work; whether there may be
    /// more. What was overwritten since the reading began is left out.
    pub fn read(
        &self,
        reading: &mut Reading,
        budget: usize,
        visit: &mut dyn FnMut(StoredFrame<'_>),
    ) -> bool {
        let rings = self.state.rings.as_ref();
        rings.is_some_and(|rings| rings.read(&mut reading.0, budget, visit))
    }
}

fn find<K: Key>(table: &Table<K>, tag: u32, key: &K) -> Option<Sighting> {
    let (hot, cold) = table.get(table.find(tag, key)?)?;
    Some(hot.sighting(cold, true))
}

/// The flow at a place of a table, if there is one; `next` is where to go on, and where to go on
/// after the last place.
fn look_at<K: Key>(
    table: &Table<K>,
    slot: u32,
    next: (Stage, Stage),
    search: &mut Search,
    steps: &mut usize,
) -> Option<Sighting> {
    *steps = steps.saturating_sub(SLOT_STEPS);
    let Some((hot, cold)) = table.get(slot) else {
        search.stage = next.1;
        return None;
    };
    search.stage = next.0;
    if hot.flags & LIVE == 0 {
        return None;
    }
    if let Which::Flow(id) = search.which
        && id != cold.flow_id
    {
        return None;
    }
    *steps = steps.saturating_sub(search.steps());
    Some(hot.sighting(cold, true))
}

/// A tuple as somebody names it: the ends of a conversation.
impl Which {
    /// The conversation between two ends; `None` if their addresses are of two families.
    #[must_use]
    pub fn ends(number: u8, one: (IpAddr, u16), other: (IpAddr, u16)) -> Option<Self> {
        let addresses = match (one.0, other.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 {
                source: source.to_bits(),
                destination: destination.to_bits(),
            },
            (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6 {
                source: source.octets(),
                destination: destination.octets(),
            },
            _ => return None,
        };
        Some(Self::Tuple(Tuple {
            addresses,
            source_port: one.1,
            destination_port: other.1,
            protocol: number,
            one_way: false,
        }))
    }

    /// Whether a packet with this tuple belongs to what is looked for; a flow's id and Community
    /// ID are not in a packet, so neither is found this way.
    #[must_use]
    pub fn has_packet(&self, tuple: &Tuple) -> bool {
        match self {
            Self::Tuple(wanted) => are_ends_of(wanted, tuple),
            Self::Pair([one, other], protocol) => {
                let (source, destination) = tuple.addresses.pair();
                protocol.is_none_or(|wanted| wanted == tuple.protocol)
                    && ((source, destination) == (*one, *other)
                        || (destination, source) == (*one, *other))
            }
            Self::Address(address) => {
                let (source, destination) = tuple.addresses.pair();
                source == *address || destination == *address
            }
            Self::Any => true,
            Self::Flow(_) | Self::Community(_) => false,
        }
    }
}
