//! Which source goes to which target: rendezvous hashing weighted by bytes, the same zone first.
//!
//! A source that is somewhere stays there unless its target dies, loses its room, or is so much
//! fuller than others that moving pays; then few move at a time, each with one Modify. Of two
//! sensors that come and go only their own sources move (rendezvous hashing: Thaler and Ravishankar 1998;
//! weighted: Schindelhauer and Schomaker 2005). Bytes bound it: nobody gets a newcomer that would
//! lift it over its share and a slack, unless all are there (bounded loads: Mirrokni et al. 2018).

use std::collections::BTreeMap;

use crate::target::Slots;

/// A source to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load<'a> {
    pub(crate) interface: &'a str,
    pub(crate) zone: &'a str,
    /// The key that its tag stands under; empty fits every sensor.
    pub(crate) key: &'a str,
    /// Bytes in a second, at full.
    pub(crate) bytes: u64,
    /// Higher ones are placed first.
    pub(crate) importance: u8,
    /// Where it is.
    pub(crate) target: Option<&'a str>,
}

/// How much may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Percent above its share of all bytes that a target may have before sources move away.
    pub slack_percent: u32,
    /// Sources that move in one step because of bytes or zones; what must move is not counted.
    pub moves_max: u32,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            slack_percent: 25,
            moves_max: 10,
        }
    }
}

/// The place of each source, in their order; `None` where there is no room.
pub(crate) fn assign(loads: &[Load<'_>], slots: &[Slots], balance: Balance) -> Vec<Option<usize>> {
    let mut board = Board::new(loads, slots);
    let mut order: Vec<usize> = (0..loads.len()).collect();
    // Who matters first, then the heavy ones: they find a place least easily.
    order.sort_by_key(|index| {
        let load = &loads[*index];
        (
            std::cmp::Reverse((load.importance, load.bytes)),
            load.interface,
        )
    });
    let homeless: Vec<usize> = order
        .iter()
        .copied()
        .filter(|index| !board.stay(*index))
        .collect();
    for index in homeless {
        board.place(index, balance);
    }
    board.level(&order, balance);
    board.places
}

struct Board<'a> {
    loads: &'a [Load<'a>],
    slots: &'a [Slots],
    by_target: BTreeMap<&'a str, usize>,
    places: Vec<Option<usize>>,
    bytes: Vec<u64>,
    sources: Vec<u32>,
    total: u64,
    weights: u64,
}

/// How good a place is for a source; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    SameZone,
    Balancer,
    OtherZone,
}

impl<'a> Board<'a> {
    fn new(loads: &'a [Load<'a>], slots: &'a [Slots]) -> Self {
        let by_target = slots
            .iter()
            .enumerate()
            .map(|(index, one)| (one.target.as_str(), index));
        let alive = slots.iter().filter(|one| one.alive);
        Self {
            loads,
            slots,
            by_target: by_target.collect(),
            places: vec![None; loads.len()],
            bytes: vec![0; slots.len()],
            sources: vec![0; slots.len()],
            total: loads.iter().map(|load| load.bytes).sum(),
            weights: alive.map(|one| u64::from(one.weight)).sum(),
        }
    }

    fn put(&mut self, index: usize, place: usize) {
        self.take(index);
        self.places[index] = Some(place);
        self.bytes[place] += self.loads[index].bytes;
        self.sources[place] += 1;
    }

    fn take(&mut self, index: usize) {
        if let Some(place) = self.places[index].take() {
            self.bytes[place] -= self.loads[index].bytes;
            self.sources[place] -= 1;
        }
    }

    fn fits(&self, index: usize, place: usize) -> bool {
        let (load, slots) = (&self.loads[index], &self.slots[place]);
        let key = load.key.is_empty() || slots.key.as_deref() == Some(load.key);
        let room = slots.room.is_none_or(|room| self.sources[place] < room);
        key && room
    }

    /// Leaves a source where it is. If its target is dead and nobody else takes it, it stays, too.
    fn stay(&mut self, index: usize) -> bool {
        let place = self.loads[index]
            .target
            .and_then(|target| self.by_target.get(target).copied());
        let Some(place) = place.filter(|place| self.fits(index, *place)) else {
            return false;
        };
        let elsewhere = !self.slots[place].alive && self.best(index, None).is_some();
        if !elsewhere {
            self.put(index, place);
        }
        !elsewhere
    }

    fn place(&mut self, index: usize, balance: Balance) {
        let cap = Some(balance.slack_percent);
        if let Some(place) = self.best(index, cap).or_else(|| self.emptiest(index)) {
            self.put(index, place);
        }
    }

    /// The place of the highest score in the nearest zone that has one, below its cap of bytes.
    fn best(&self, index: usize, slack_percent: Option<u32>) -> Option<usize> {
        let load = &self.loads[index];
        let near = self.nearest(index)?;
        let fits = |place: &usize| {
            let under = |slack| self.takes(*place, load.bytes, slack);
            self.nearness(load, *place) == near && slack_percent.is_none_or(under)
        };
        let open = self.open(index).filter(fits);
        open.max_by(|one, two| {
            let score = |place: &usize| score(load.interface, &self.slots[*place]);
            score(one).total_cmp(&score(two))
        })
    }

    /// If all are over their caps: whom it burdens least.
    fn emptiest(&self, index: usize) -> Option<usize> {
        let near = self.nearest(index)?;
        let load = &self.loads[index];
        let open = self.open(index);
        open.filter(|place| self.nearness(load, *place) == near)
            .min_by_key(|place| (self.burden(*place, load.bytes), *place))
    }

    fn nearest(&self, index: usize) -> Option<Nearness> {
        let load = &self.loads[index];
        let near = self.open(index).map(|place| self.nearness(load, place));
        near.min()
    }

    /// Places that live and have room for it.
    fn open(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let places = 0..self.slots.len();
        places.filter(move |place| {
            let slots = &self.slots[*place];
            slots.alive && slots.weight > 0 && self.fits(index, *place)
        })
    }

    fn nearness(&self, load: &Load<'_>, place: usize) -> Nearness {
        match &self.slots[place].zone {
            None => Nearness::Balancer,
            Some(zone) if zone == load.zone => Nearness::SameZone,
            Some(_) => Nearness::OtherZone,
        }
    }

    /// Whether a place may have so many bytes more; one alone has a place, however heavy.
    fn takes(&self, place: usize, bytes: u64, slack_percent: u32) -> bool {
        let there = self.bytes[place];
        there == 0 || there + bytes <= self.cap(place, slack_percent)
    }

    /// Bytes in a second that a place may have: its share, and the slack.
    fn cap(&self, place: usize, slack_percent: u32) -> u64 {
        let weight = u128::from(self.slots[place].weight);
        let percent = u128::from(100 + slack_percent);
        let cap = u128::from(self.total) * weight * percent / 100;
        u64::try_from(cap / u128::from(self.weights.max(1))).unwrap_or(u64::MAX)
    }

    /// Load over weight, in 2⁻¹⁶.
    fn burden(&self, place: usize, more: u64) -> u128 {
        let weight = u128::from(self.slots[place].weight.max(1));
        (u128::from(self.bytes[place] + more) << 16) / weight
    }

    /// Moves a few sources: home to their zone, and from places that are over their cap.
    fn level(&mut self, order: &[usize], balance: Balance) {
        let mut left = balance.moves_max;
        for index in order.iter().copied() {
            if left == 0 {
                return;
            }
            let Some(place) = self.places[index] else {
                continue;
            };
            let Some(better) = self.better(index, place, balance) else {
                continue;
            };
            let was_there = self.loads[index].target == Some(self.slots[place].target.as_str());
            self.put(index, better);
            left -= u32::from(was_there);
        }
    }

    fn better(&self, index: usize, place: usize, balance: Balance) -> Option<usize> {
        let load = &self.loads[index];
        let near = self.nearness(load, place);
        let homeward = self
            .open(index)
            .filter(|other| self.nearness(load, *other) < near)
            .filter(|other| self.takes(*other, load.bytes, balance.slack_percent))
            .min_by_key(|other| (self.nearness(load, *other), self.burden(*other, 0), *other));
        if homeward.is_some() {
            return homeward;
        }
        let over = self.bytes[place] > self.cap(place, balance.slack_percent);
        if load.bytes == 0 || !over {
            return None;
        }
        let before = self.burden(place, 0);
        let others = self
            .open(index)
            .filter(|other| *other != place && self.nearness(load, *other) == near);
        // Only where both are better off afterwards: the one that was worst must not be another.
        others
            .filter(|other| self.burden(*other, load.bytes) < before)
            .min_by_key(|other| (self.burden(*other, load.bytes), *other))
    }
}

/// Weighted rendezvous: −weight / ln u, with u uniform in (0, 1) from source and target.
fn score(interface: &str, slots: &Slots) -> f64 {
    // 53 bits, so that it is exact, and never 0.
    let bits = hash(interface, &slots.target) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    let uniform = (bits as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(slots.weight.max(1)) / uniform.ln()
}

/// FNV-1a over both, mixed as `SplitMix64` ends: the same for every controller.
pub(crate) fn hash(one: &str, other: &str) -> u64 {
    let bytes = one.bytes().chain([0xff]).chain(other.bytes());
    let fnv = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_policy::money::Path;

    #[test]
    fn a_new_target_takes_its_share_and_others_keep_theirs() {
        let names: Vec<String> = (0..400).map(|n| format!("eni-{n:03}")).collect();
        let loads: Vec<Load<'_>> = names.iter().map(|name| load(name, 0, None)).collect();
        let three = [slots("a", None), slots("b", None), slots("c", None)];
        let first = run(&loads, &three, Balance::default());
        let counts = |places: &[String]| {
            let count = |of: &str| places.iter().filter(|one| *one == of).count();
            ["a", "b", "c", "d"].map(count)
        };
        for count in &counts(&first)[..3] {
            assert!((100..170).contains(count), "{:?}", counts(&first));
        }
        // The same sources, placed anew with a fourth: only those move that it takes.
        let four = [
            slots("a", None),
            slots("b", None),
            slots("c", None),
            slots("d", None),
        ];
        let second = run(&loads, &four, Balance::default());
        for (before, after) in first.iter().zip(&second) {
            assert!(before == after || after == "d");
        }
        assert!(
            (60..140).contains(&counts(&second)[3]),
            "{:?}",
            counts(&second)
        );
    }

    #[test]
    fn who_is_somewhere_stays_and_few_move_at_a_time() {
        let names: Vec<String> = (0..40).map(|n| format!("eni-{n:03}")).collect();
        let at_a: Vec<Load<'_>> = names
            .iter()
            .map(|name| load(name, 100, Some("a")))
            .collect();
        let two = [slots("a", None), slots("b", None)];
        let balance = Balance {
            moves_max: 3,
            ..Balance::default()
        };
        let moved = run(&at_a, &two, balance);
        assert_eq!(moved.iter().filter(|one| *one == "b").count(), 3);
        // Without bytes nobody knows better.
        let quiet: Vec<Load<'_>> = names.iter().map(|name| load(name, 0, Some("a"))).collect();
        assert!(run(&quiet, &two, balance).iter().all(|one| one == "a"));
    }

    #[test]
    fn repeated_steps_level_bytes_and_then_nothing_moves() {
        let names: Vec<String> = (0..60).map(|n| format!("eni-{n:03}")).collect();
        let bytes = |n: usize| 1 + (n as u64 * 7919) % 1_000;
        let three = [slots("a", None), slots("b", None), slots("c", None)];
        let mut at: Vec<String> = vec!["a".to_owned(); names.len()];
        let mut moves = 0;
        for _ in 0..30 {
            let loads: Vec<Load<'_>> = names
                .iter()
                .zip(&at)
                .enumerate()
                .map(|(n, (name, at))| load(name, bytes(n), Some(at)))
                .collect();
            let next = run(&loads, &three, Balance::default());
            moves += at.iter().zip(&next).filter(|(one, two)| one != two).count();
            if next == at {
                break;
            }
            at = next;
        }
        let total: u64 = (0..60).map(bytes).sum();
        for target in ["a", "b", "c"] {
            let its: u64 = (0..60).filter(|n| at[*n] == target).map(bytes).sum();
            assert!(its * 3 <= total * 125 / 100, "{target}: {its} of {total}");
        }
        assert!(moves < 60, "{moves}");
    }

    #[test]
    fn rooms_are_kept_and_the_rest_is_left_over() {
        let names: Vec<String> = (0..25).map(|n| format!("eni-{n:03}")).collect();
        let loads: Vec<Load<'_>> = names.iter().map(|name| load(name, 5, None)).collect();
        let mut two = [slots("a", None), slots("b", None)];
        two.iter_mut().for_each(|one| one.room = Some(10));
        let places = assign(&loads, &two, Balance::default());
        let count = |place| places.iter().filter(|one| **one == place).count();
        assert_eq!((count(Some(0)), count(Some(1)), count(None)), (10, 10, 5));
    }

    #[test]
    fn the_same_zone_first_then_a_balancer_then_another_zone() {
        let (near, far, balancer) = (
            slots("near", Some("z1")),
            slots("far", Some("z2")),
            slots("nlb", None),
        );
        let source = [load("eni-1", 0, None)];
        let all = [balancer.clone(), far.clone(), near.clone()];
        assert_eq!(run(&source, &all, Balance::default()), ["near"]);
        assert_eq!(
            run(&source, &[balancer, far.clone()], Balance::default()),
            ["nlb"]
        );
        assert_eq!(run(&source, &[far], Balance::default()), ["far"]);
        let away = [load("eni-1", 9, Some("far"))];
        assert_eq!(
            run(&away, &all[1..], Balance::default()),
            ["near"],
            "it comes home"
        );
    }

    #[test]
    fn a_dead_target_loses_its_sources_if_somebody_takes_them() {
        let (mut dead, other) = (slots("a", None), slots("b", None));
        dead.alive = false;
        let source = [load("eni-1", 9, Some("a"))];
        let alone = [dead.clone()];
        assert_eq!(run(&source, &alone, Balance::default()), ["a"]);
        assert_eq!(run(&source, &[dead, other], Balance::default()), ["b"]);
    }

    #[test]
    fn only_a_sensor_that_looks_for_its_key_takes_a_source() {
        let keyed = |target: &str, key: &str| Slots {
            key: Some(key.to_owned()),
            ..slots(target, None)
        };
        let two = [keyed("a", "k1"), keyed("b", "k2")];
        for n in 0..20 {
            let name = format!("eni-{n}");
            let source = [Load {
                key: "k2",
                ..load(&name, 0, None)
            }];
            assert_eq!(run(&source, &two, Balance::default()), ["b"]);
        }
    }

    fn run(loads: &[Load<'_>], slots: &[Slots], balance: Balance) -> Vec<String> {
        let places = assign(loads, slots, balance);
        let name = |place: Option<usize>| {
            place.map_or_else(|| "-".to_owned(), |it| slots[it].target.clone())
        };
        places.into_iter().map(name).collect()
    }

    fn load<'a>(interface: &'a str, bytes: u64, target: Option<&'a str>) -> Load<'a> {
        Load {
            interface,
            zone: "z1",
            key: "",
            bytes,
            importance: 1,
            target,
        }
    }

    fn slots(target: &str, zone: Option<&str>) -> Slots {
        Slots {
            target: target.to_owned(),
            zone: zone.map(str::to_owned),
            room: None,
            weight: 1,
            alive: true,
            key: None,
            is_interface: zone.is_some(),
            path: Path::SameAz,
        }
    }
}
