//! A recording as the background of a trial: its sources are the fleet, its conversations what
//! happens there, day after day.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use serde::Serialize;
use vxscope_policy::Importance;
use vxscope_report::{Category, EventKind, Protocol};
use vxscope_signals::{Failures, served};
use vxscope_sim::random::hash;

use super::conversation::{Conversation, Crossed, number};
use super::{DAYS_MAX, Recording};
use crate::activity::{Day, Event};
use crate::fleet::{Fleet, Role, STANDARD, Slot, Source, Spec};
use crate::time::{DAY, HOUR, MINUTE};

/// An opaque transfer is bulk from so many bytes on, as the sensor's flow table says.
const LARGE_BYTES: u64 = 8 << 20;
/// The name of the role that all recorded sources have.
const ROLE: &str = "recorded";

/// See the module.
#[derive(Clone, Debug)]
pub struct Background {
    /// Events of the recorded days, by day and in order of time; times since the day began.
    days: Vec<Vec<Event>>,
    sources: Vec<Recorded>,
    conversations: usize,
    span_hours: f64,
}

/// What a background is, for people and programs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Conversations that were read.
    pub conversations: usize,
    /// Sources they are of.
    pub sources: usize,
    /// From the first packet to the last.
    pub hours: f64,
    /// After so many days it begins anew.
    pub repeated_every_days: usize,
}

/// One source of a recording.
#[derive(Clone, Debug)]
struct Recorded {
    group: u32,
    peers: Vec<u32>,
    /// Bytes by hour of the recorded days.
    hours: Vec<f64>,
    packets: u64,
    bytes: Shares,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    all: u64,
    dns_never: u64,
    management: u64,
    bulk: u64,
}

impl Background {
    /// Makes a background of what was read.
    ///
    /// # Errors
    /// There is nothing, or it is longer than a trial may be.
    pub fn new(recording: &Recording) -> Result<Self, String> {
        let conversations = &recording.conversations;
        let first = conversations.iter().map(|one| one.start).min();
        let first = first.ok_or("there is no conversation of any source in it")?;
        let last = conversations
            .iter()
            .map(|one| one.end)
            .max()
            .unwrap_or(first);
        let base = first / DAY * DAY;
        let days = (last - base) / DAY + 1;
        if days > DAYS_MAX {
            return Err(format!(
                "it spans {days} days; a trial has {DAYS_MAX} at most"
            ));
        }
        let mut background = Self {
            days: vec![Vec::new(); usize::try_from(days).unwrap_or(0)],
            sources: sources(recording, days),
            conversations: conversations.len(),
            span_hours: (last - first) as f64 / HOUR as f64,
        };
        background.count(conversations, base);
        background.tell(recording, base);
        Ok(background)
    }

    /// Who there is, for a trial of so many days.
    #[must_use]
    pub fn fleet(&self, importance: Importance, allow_off: bool, days: u32) -> Fleet {
        let end = u64::from(days.max(1)) * DAY;
        let spec = self.spec(importance, allow_off);
        let all = (0_u32..).zip(&self.sources);
        Fleet {
            slots: all
                .clone()
                .map(|(index, source)| Slot {
                    role: index as usize,
                    group: source.group,
                    zone: 0,
                    peers: source.peers.clone(),
                    lives: vec![index],
                })
                .collect(),
            sources: all
                .map(|(index, source)| {
                    let hours = end / HOUR;
                    let cycle = (0..hours).zip(source.hours.iter().cycle());
                    let sums = cycle.scan(0.0, |sum, (_, bytes)| {
                        *sum += bytes;
                        Some(*sum)
                    });
                    Source {
                        slot: index,
                        role: index as usize,
                        group: source.group,
                        zone: 0,
                        importance,
                        allow_off: allow_off || importance == Importance::Low,
                        cross_zone: false,
                        alive: 0..end,
                        bytes_per_second: source.hours.iter().sum::<f64>()
                            / (source.hours.len().max(1) as f64 * 3_600.0),
                        bytes_until_hour: std::iter::once(0.0).chain(sums).collect(),
                    }
                })
                .collect(),
            groups: self
                .sources
                .iter()
                .map(|one| one.group + 1)
                .max()
                .unwrap_or(1),
            spec,
            end,
        }
    }

    /// What happens on a day of a trial.
    #[must_use]
    pub fn day(&self, day: u64) -> Day {
        let place = usize::try_from(day).unwrap_or(0) % self.days.len().max(1);
        let events = self.days.get(place).into_iter().flatten();
        Day {
            events: events
                .map(|event| Event {
                    at: event.at + day * DAY,
                    ..*event
                })
                .collect(),
            contacts: Vec::new(),
        }
    }

    /// Sources.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// What it is.
    #[must_use]
    pub fn told(&self) -> Told {
        Told {
            conversations: self.conversations,
            sources: self.sources.len(),
            hours: self.span_hours,
            repeated_every_days: self.days.len(),
        }
    }

    /// The standard calendar, and a role for each source, so that each has its own mix.
    fn spec(&self, importance: Importance, allow_off: bool) -> Spec {
        // The file that ships is well-formed: a test reads it.
        let standard = Spec::parse(STANDARD);
        let (calendar, place) = match standard {
            Ok(spec) => (spec.calendar, spec.fleet),
            Err(_) => (
                crate::fleet::Calendar::default(),
                crate::fleet::Place::default(),
            ),
        };
        let share = 1.0 / self.sources.len().max(1) as f64;
        let roles = self.sources.iter().map(|source| {
            let Shares {
                all,
                dns_never,
                management,
                bulk,
            } = source.bytes;
            let part = |bytes: u64, of: u64| bytes as f64 / of.max(1) as f64;
            Role {
                name: ROLE.to_owned(),
                share,
                importance: importance.name().to_owned(),
                allow_off,
                packet_bytes: part(all, source.packets).max(1.0),
                dns_share: part(dns_never, all),
                management_share: part(management, all),
                bulk_share: part(bulk, all - dns_never - management),
                ..Role::default()
            }
        });
        Spec {
            fleet: place,
            calendar,
            roles: roles.collect(),
        }
    }

    /// Counts bytes by what they are for and by hour, evenly over each conversation.
    fn count(&mut self, conversations: &[Conversation], base: u64) {
        for one in conversations {
            let source = &mut self.sources[one.source as usize];
            source.packets += one.packets;
            let shares = &mut source.bytes;
            shares.all += one.bytes;
            let service = served(one.protocol, one.port);
            match service.category {
                _ if one.never => shares.dns_never += one.bytes,
                Category::Dns => shares.dns_never += one.bytes,
                Category::Management => shares.management += one.bytes,
                _ if service.opaque && one.bytes >= LARGE_BYTES => shares.bulk += one.bytes,
                _ => {}
            }
            let (from, to) = (one.start - base, (one.end - base).max(one.start - base + 1));
            let whole = (to - from) as f64;
            for hour in from / HOUR..to.div_ceil(HOUR) {
                let part = to.min((hour + 1) * HOUR) - from.max(hour * HOUR);
                let place = usize::try_from(hour).unwrap_or(0) % source.hours.len().max(1);
                source.hours[place] += one.bytes as f64 * part as f64 / whole;
            }
        }
    }

    /// Makes events of conversations, as the sensor does.
    fn tell(&mut self, recording: &Recording, base: u64) {
        let by_address = by_address(&recording.addresses);
        let mut order: Vec<&Conversation> = recording.conversations.iter().collect();
        order.sort_by_key(|one| (one.start, one.source, one.tuple, one.crossed == Crossed::In));
        // What both ends show is told by the one that opened it; the trial shows it to the other.
        let openers: HashSet<u64> = order
            .iter()
            .filter(|one| one.crossed == Crossed::Out)
            .map(|one| one.tuple)
            .collect();
        let mut failures: HashMap<(u32, bool), Failures> = HashMap::new();
        let mut told: HashMap<u64, u64> = HashMap::new();
        for one in order {
            let peer = by_address.get(&one.peer).copied().flatten();
            let peer = peer.filter(|peer| *peer != one.source);
            let inbound = one.crossed == Crossed::In;
            if inbound && peer.is_some() && openers.contains(&one.tuple) {
                continue;
            }
            let at = one.start - base;
            let mut put = |kind: EventKind, novelty: Option<u64>| {
                let day = usize::try_from(at / DAY).unwrap_or(0);
                if let Some(events) = self.days.get_mut(day) {
                    events.push(Event {
                        at: at % DAY,
                        source: one.source,
                        kind,
                        peer,
                        protocol: transport(one.protocol),
                        port: one.port,
                        novelty,
                    });
                }
            };
            if one.never {
                put(EventKind::NeverHit, None);
            }
            if one.failed {
                let failures = failures.entry((one.source, inbound)).or_default();
                let port = (one.port != 0).then(|| u64::from(one.port));
                if failures.are_many(number(one.peer), port, one.start / 1_000) {
                    put(EventKind::ManyFailures, None);
                }
                continue;
            }
            let service = hash(u64::from(one.protocol), u64::from(one.port));
            let (from, to) = if inbound {
                (one.peer, one.own)
            } else {
                (one.own, one.peer)
            };
            let edge = hash(hash(number(from), number(to)), service);
            // The same edge in the same minute tells nothing more.
            if told.insert(edge, at / MINUTE) != Some(at / MINUTE) {
                put(EventKind::FirstEdge, Some(edge));
            }
            if !one.answered {
                continue;
            }
            if inbound && one.port != 0 {
                let new = hash(hash(number(one.own), 1), service);
                if told.insert(new, at / HOUR) != Some(at / HOUR) {
                    put(EventKind::NewService, Some(new));
                }
            }
            let served = served(one.protocol, one.port);
            if served.login {
                put(EventKind::ManagementLogin, None);
            }
            if served.cleartext {
                put(EventKind::CleartextLogin, None);
            }
        }
    }
}

fn sources(recording: &Recording, days: u64) -> Vec<Recorded> {
    let by_address = by_address(&recording.addresses);
    let mut groups: BTreeMap<String, u32> = BTreeMap::new();
    let hours = usize::try_from(days * 24).unwrap_or(0);
    let mut sources: Vec<Recorded> = recording
        .addresses
        .iter()
        .map(|address| {
            let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            Recorded {
                group: *groups.entry(neighbourhood(*address)).or_insert(next),
                peers: Vec::new(),
                hours: vec![0.0; hours],
                packets: 0,
                bytes: Shares::default(),
            }
        })
        .collect();
    let mut usual: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for one in &recording.conversations {
        if let Some(peer) = by_address.get(&one.peer).copied().flatten()
            && peer != one.source
        {
            *usual.entry((one.source, peer)).or_default() += 1;
        }
    }
    let mut usual: Vec<_> = usual.into_iter().collect();
    usual.sort_by_key(|((source, peer), count)| (*source, std::cmp::Reverse(*count), *peer));
    for ((source, peer), _) in usual {
        sources[source as usize].peers.push(peer);
    }
    sources
}

/// Which source has an address; nobody can tell where several have it.
fn by_address(addresses: &[Option<IpAddr>]) -> HashMap<IpAddr, Option<u32>> {
    let mut by_address = HashMap::new();
    for (source, address) in (0_u32..).zip(addresses) {
        if let Some(address) = address {
            by_address
                .entry(*address)
                .and_modify(|known| *known = None)
                .or_insert(Some(source));
        }
    }
    by_address
}

/// Addresses with the first 24 bits in common, of IPv6 64, are a group, as in the product.
fn neighbourhood(address: Option<IpAddr>) -> String {
    match address {
        None => String::new(),
        Some(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}")
        }
        Some(IpAddr::V6(address)) => format!("{:x?}", address.segments().get(..4)),
    }
}

fn transport(protocol: u8) -> Protocol {
    match protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        1 | 58 => Protocol::Icmp,
        _ => Protocol::Other,
    }
}
