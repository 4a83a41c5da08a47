//! Some of each: a stratified random sample that rotates, and what it is worth.

use std::collections::BTreeMap;

/// How many of each stratum are mirrored at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleSize {
    /// At least so many, or all if there are fewer.
    pub least: usize,
    /// So many of 1,000, rounded up.
    pub permille: usize,
}

impl SampleSize {
    fn of(self, members: usize) -> usize {
        let share = members.saturating_mul(self.permille).div_ceil(1_000);
        share.max(self.least).min(members)
    }
}

/// Which members of each stratum are mirrored in one rotation, by their position in `members`.
///
/// The seed puts each stratum in an order; rotation n takes the n-th window of it, around the end.
/// So every member is mirrored once before any is mirrored a second time by choice, and who does
/// not know the seed cannot tell who is next. Who may read the mirror sessions can tell who is now.
#[must_use]
pub fn sample<'a, K: Ord>(
    members: impl IntoIterator<Item = (K, &'a str)>,
    size: SampleSize,
    seed: u64,
    rotation: u64,
) -> Vec<usize> {
    let mut strata: BTreeMap<K, Vec<(u64, &str, usize)>> = BTreeMap::new();
    for (position, (stratum, id)) in members.into_iter().enumerate() {
        let stratum = strata.entry(stratum).or_default();
        stratum.push((shuffled(seed, id), id, position));
    }
    let mut chosen = Vec::new();
    for mut stratum in strata.into_values() {
        stratum.sort_unstable();
        let count = size.of(stratum.len());
        let start = u128::from(rotation) * count as u128 % stratum.len() as u128;
        let start = usize::try_from(start).unwrap_or_default();
        let window = stratum.iter().cycle().skip(start).take(count);
        chosen.extend(window.map(|(_, _, position)| *position));
    }
    chosen.sort_unstable();
    chosen
}

/// After how many rotations each member of a stratum has been mirrored.
#[must_use]
pub fn rotations_of(members: usize, size: SampleSize) -> Option<usize> {
    let count = size.of(members);
    (count > 0).then(|| members.div_ceil(count))
}

/// The chance that somebody who touches `touched` different hosts of `population`, chosen without
/// knowledge, touches at least one of the `mirrored`: 1 − C(N−m, k) / C(N, k), hypergeometric.
/// Exact but for rounding: each factor adds at most 2⁻⁵², relative.
#[must_use]
pub fn chance_of_meeting(population: u64, mirrored: u64, touched: u64) -> f64 {
    let mirrored = mirrored.min(population);
    let touched = touched.min(population);
    // The one that makes fewer factors is the one to walk along; the formula is symmetric.
    let (walked, others) = if touched <= mirrored {
        (touched, mirrored)
    } else {
        (mirrored, touched)
    };
    let mut missed = 1.0;
    for step in 0..walked {
        let left = population - step;
        missed *= left.saturating_sub(others) as f64 / left as f64;
    }
    1.0 - missed
}

/// A number that depends on every byte and on the seed (FNV-1a, finished as `SplitMix64` does). Not
/// a secret-keeping hash: the sample can be read from the sessions anyway.
fn shuffled(seed: u64, id: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= seed.rotate_left(32);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const ONE: SampleSize = SampleSize {
        least: 1,
        permille: 0,
    };

    #[test]
    fn every_stratum_has_its_share() {
        let ids: Vec<String> = (0..25).map(|n| format!("eni-{n}")).collect();
        let members = || ids.iter().enumerate().map(|(n, id)| (n / 10, id.as_str()));
        let chosen = sample(members(), ONE, 1, 0);
        let strata: Vec<usize> = chosen.iter().map(|position| position / 10).collect();
        assert_eq!(strata, [0, 1, 2]);
        let size = SampleSize {
            least: 1,
            permille: 300,
        };
        assert_eq!(sample(members(), size, 1, 0).len(), 3 + 3 + 2);
        assert_ne!(
            chosen,
            sample(members(), ONE, 2, 0),
            "another seed, another sample"
        );
    }

    #[test]
    fn all_have_their_turn() {
        let ids: Vec<String> = (0..10).map(|n| format!("eni-{n}")).collect();
        let size = SampleSize {
            least: 3,
            permille: 0,
        };
        let turns = rotations_of(10, size).expect("a size");
        assert_eq!(turns, 4);
        let seen: BTreeSet<usize> = (0..turns as u64)
            .flat_map(|turn| sample(ids.iter().map(|id| ((), id.as_str())), size, 9, turn))
            .collect();
        assert_eq!(seen.len(), 10);
        assert_eq!(rotations_of(0, size), None);
        assert!(sample(ids.iter().map(|id| ((), id.as_str())), size, 9, u64::MAX).len() == 3);
    }

    #[test]
    fn the_chance_is_the_hypergeometric_one() {
        check(10, 0, 5, 0.0);
        check(10, 10, 1, 1.0);
        check(10, 1, 1, 0.1);
        check(10, 3, 8, 1.0);
        // 1 − C(45, 5)/C(50, 5).
        check(50, 5, 5, 1.0 - 1_221_759.0 / 2_118_760.0);
        check(0, 0, 0, 0.0);
        check(10_000, 500, 100, 0.994_232_755);
    }

    proptest! {
        #[test]
        fn counting_all_ways_gives_the_same(population in 1u64..13, mirrored in 0u64..13, touched in 0u64..13) {
            let (mirrored, touched) = (mirrored.min(population), touched.min(population));
            let all = (0u32..1 << population).filter(|set| u64::from(set.count_ones()) == touched);
            let (mut ways, mut meets) = (0u32, 0u32);
            for set in all {
                ways += 1;
                meets += u32::from(set & ((1 << mirrored) - 1) != 0);
            }
            let exact = f64::from(meets) / f64::from(ways);
            prop_assert!((chance_of_meeting(population, mirrored, touched) - exact).abs() < 1e-12);
        }
    }

    fn check(population: u64, mirrored: u64, touched: u64, expected: f64) {
        let found = chance_of_meeting(population, mirrored, touched);
        assert!((found - expected).abs() < 1e-9, "{found}");
    }
}
