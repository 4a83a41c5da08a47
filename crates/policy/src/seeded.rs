//! The only randomness of a decision: xoshiro256++ (Blackman and Vigna, 2019), seeded by the caller.

/// A generator of evenly distributed numbers; the same seed gives the same decisions.
///
/// In production the seed comes from the operating system: whoever could guess it would know when
/// a source is not watched.
#[derive(Clone, Debug)]
pub(crate) struct Seeded([u64; 4]);

impl Seeded {
    /// From a seed of any value, spread over the state by SplitMix64.
    pub(crate) fn new(seed: u64) -> Self {
        let mut spread = seed;
        Self(std::array::from_fn(|_| {
            spread = spread.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = spread;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c1, d1) = (c ^ a, d ^ b);
        self.0 = [a ^ d1, b ^ c1, c1 ^ (b << 17), d1.rotate_left(45)];
        result
    }

    /// Evenly in [0, 1), in steps of 2⁻⁵³.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly in [`low`, `high`).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // First outputs of the reference implementation from the state 1, 2, 3, 4.
        let mut random = Seeded([1, 2, 3, 4]);
        let first: Vec<u64> = (0..4).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    #[test]
    fn units_are_even() {
        let mut random = Seeded::new(7);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let unit = random.unit();
            let below = (1..10).filter(|tenth| unit >= f64::from(*tenth) / 10.0);
            tenths[below.count()] += 1;
        }
        assert!(
            tenths.iter().all(|n| (9_600..10_400).contains(n)),
            "{tenths:?}"
        );
    }
}
