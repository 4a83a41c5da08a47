//! Draws a fleet from its file and a seed.

use vxscope_policy::Importance;
use vxscope_sim::random::{Random, hash};

use super::{Fleet, Role, SOURCES_MAX, SOURCES_MIN, Slot, Source, Spec, rate};
use crate::draw;
use crate::time::{self, DAY, HOUR, MINUTE};

/// A machine that is replaced is gone for so long.
const REPLACE: u64 = 3 * MINUTE;

impl Fleet {
    /// A fleet with `count` sources at a time for `days` days; `count` is moved into
    /// [`SOURCES_MIN`]..=[`SOURCES_MAX`].
    #[must_use]
    pub fn new(spec: Spec, count: u32, days: u32, seed: u64) -> Self {
        let end = u64::from(days.max(1)) * DAY;
        let mut slots = slots(&spec, count.clamp(SOURCES_MIN, SOURCES_MAX), seed);
        connect(&spec, &mut slots, seed);
        let mut fleet = Self {
            groups: group_count(&spec),
            spec,
            slots,
            sources: Vec::new(),
            end,
        };
        fleet.populate(seed);
        fleet
    }

    /// Fills the slots with sources, in order of creation.
    fn populate(&mut self, seed: u64) {
        let mut sources = Vec::new();
        for (index, slot) in (0_u32..).zip(&self.slots) {
            let role = &self.spec.roles[slot.role];
            let mut random = draw::stream(seed, 2, u64::from(index));
            let bytes_per_second =
                draw::pareto(&mut random, role.bytes_per_second, role.bytes_tail)
                    .min(50.0 * role.bytes_per_second);
            let daily = role.autoscaled && draw::share(&mut random) >= role.night_share;
            for alive in lives(&mut random, role, daily, self.end) {
                let importance = Importance::from_name(&role.importance).unwrap_or_default();
                let mut source = Source {
                    slot: index,
                    role: slot.role,
                    group: slot.group,
                    zone: slot.zone,
                    importance,
                    allow_off: role.allow_off || importance == Importance::Low,
                    cross_zone: !self.spec.fleet.sensor_zones.contains(&slot.zone),
                    alive,
                    bytes_per_second,
                    bytes_until_hour: Vec::new(),
                };
                source.bytes_until_hour =
                    rate::bytes_until_hour(&self.spec.calendar, role, &source, seed);
                sources.push(source);
            }
        }
        sources.sort_by_key(|source| (source.alive.start, source.slot));
        for (index, source) in (0_u32..).zip(&sources) {
            self.slots[source.slot as usize].lives.push(index);
        }
        self.sources = sources;
    }
}

fn group_count(spec: &Spec) -> u32 {
    let roles = u32::try_from(spec.roles.len()).unwrap_or(u32::MAX);
    roles * spec.fleet.zones * spec.fleet.subnets_per_zone
}

/// Slots of all roles by the largest remainder, spread evenly over the subnets.
fn slots(spec: &Spec, count: u32, seed: u64) -> Vec<Slot> {
    let exact: Vec<f64> = spec
        .roles
        .iter()
        .map(|role| role.share * f64::from(count))
        .collect();
    let mut counts: Vec<u64> = exact
        .iter()
        .map(|exact| time::from_float(exact.floor()))
        .collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    let missing = u64::from(count).saturating_sub(counts.iter().sum());
    for (role, _) in order.iter().cycle().zip(0..missing) {
        counts[*role] += 1;
    }
    let subnets = spec.fleet.zones * spec.fleet.subnets_per_zone;
    let mut slots = Vec::new();
    for (role, count) in counts.iter().enumerate() {
        let offset = hash(seed, role as u64);
        for index in 0..*count {
            let subnet = (offset % u64::from(subnets) + index) % u64::from(subnets);
            let subnet = u32::try_from(subnet).unwrap_or(0);
            slots.push(Slot {
                role,
                group: u32::try_from(role).unwrap_or(0) * subnets + subnet,
                zone: subnet % spec.fleet.zones,
                peers: Vec::new(),
                lives: Vec::new(),
            });
        }
    }
    slots
}

/// Chooses the peers of each slot: a role by Zipf's law, then one of its slots evenly.
fn connect(spec: &Spec, slots: &mut [Slot], seed: u64) {
    let mut of_role: Vec<Vec<u32>> = vec![Vec::new(); spec.roles.len()];
    for (index, slot) in (0_u32..).zip(slots.iter()) {
        of_role[slot.role].push(index);
    }
    for (index, slot) in (0_u32..).zip(slots.iter_mut()) {
        let role = &spec.roles[slot.role];
        let mut random = draw::stream(seed, 3, u64::from(index));
        for _ in 0..role.peers {
            let rank = draw::zipf(&mut random, role.peer_roles.len(), role.peer_exponent);
            let peers = spec.role(&role.peer_roles[rank]).map(|role| &of_role[role]);
            let Some(peers) = peers.filter(|peers| !peers.is_empty()) else {
                continue;
            };
            let peer = peers[random.index(peers.len())];
            if peer != index && !slot.peers.contains(&peer) {
                slot.peers.push(peer);
            }
        }
    }
}

/// When the sources of one slot exist.
fn lives(random: &mut Random, role: &Role, daily: bool, end: u64) -> Vec<std::ops::Range<u64>> {
    if !role.autoscaled {
        return std::iter::once(0..end).collect();
    }
    let mut lives = Vec::new();
    let mut at = 0;
    while at < end {
        let wait = draw::exponential(random, 1.0 / role.life_hours) * HOUR as f64;
        let died = at.saturating_add(time::from_float(wait)).max(at + MINUTE);
        if daily {
            days(&mut lives, at..died.min(end));
        } else {
            lives.push(at..died.min(end));
        }
        at = died.saturating_add(REPLACE);
    }
    lives
}

/// The days, from six to twenty o'clock, of an instance that is stopped at night: each is a new
/// source, since scaling in ends an instance.
fn days(lives: &mut Vec<std::ops::Range<u64>>, span: std::ops::Range<u64>) {
    for day in span.start / DAY..=span.end / DAY {
        let from = (day * DAY + 6 * HOUR).max(span.start);
        let to = (day * DAY + 20 * HOUR).min(span.end);
        if from + MINUTE <= to {
            lives.push(from..to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::STANDARD;

    #[test]
    fn the_same_seed_gives_the_same_fleet() {
        let (one, same, other) = (fleet(100, 3), fleet(100, 3), fleet(100, 4));
        let text = |fleet: &Fleet| format!("{:?}", fleet.sources);
        assert_eq!(text(&one), text(&same));
        assert_ne!(text(&one), text(&other));
    }

    #[test]
    fn every_role_has_its_share() {
        let fleet = fleet(1_000, 1);
        assert_eq!(fleet.slots.len(), 1_000);
        for (index, role) in fleet.spec.roles.iter().enumerate() {
            let count = fleet.slots.iter().filter(|slot| slot.role == index).count();
            assert!((count as f64 - role.share * 1_000.0).abs() <= 1.0);
        }
    }

    #[test]
    fn a_slot_has_one_source_at_a_time() {
        let fleet = fleet(200, 5);
        for slot in &fleet.slots {
            let ends = slot
                .lives
                .iter()
                .map(|life| &fleet.sources[*life as usize].alive);
            let spans: Vec<_> = ends.flat_map(|alive| [alive.start, alive.end]).collect();
            assert!(spans.is_sorted(), "{spans:?}");
        }
        assert!(fleet.sources.len() > 300, "{}", fleet.sources.len());
    }

    #[test]
    fn bytes_of_parts_are_those_of_the_whole() {
        let fleet = fleet(20, 6);
        for index in 0..fleet.sources.len() {
            let source = u32::try_from(index).unwrap();
            let alive = fleet.sources[index].alive.clone();
            let cut = alive.start + (alive.end - alive.start) / 3;
            let parts = fleet.bytes(source, alive.start, cut) + fleet.bytes(source, cut, alive.end);
            let whole = fleet.bytes(source, 0, fleet.end);
            assert!((parts - whole).abs() <= 1e-6 * whole, "{parts} {whole}");
            assert!(whole > 0.0);
        }
    }

    fn fleet(count: u32, seed: u64) -> Fleet {
        Fleet::new(Spec::parse(STANDARD).expect("well-formed"), count, 4, seed)
    }
}
