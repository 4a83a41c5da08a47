//! How many calls may be made, and when again after a failure.

use std::time::Duration;

use vxscope_units::Timestamp;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A token bucket: so many calls at once, and so many a second in the long run.
///
/// EC2 gives an account 50 and 5/s of each changing call, 100 and 20/s of describing ones, shared
/// with every other tool of the account; ours is half of it.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    burst: u64,
    rate_milli: u64,
    /// Tokens in 10⁻¹², which a rate in thousandths makes of whole nanoseconds.
    pico: u64,
    at: Timestamp,
}

const PICO: u64 = 1_000_000_000_000;

impl Bucket {
    /// A full one; the rate is in thousandths of a call a second.
    #[must_use]
    pub fn new(burst: u32, rate_milli: u64, now: Timestamp) -> Self {
        // So that the sum of a burst and a step fits.
        let burst = u64::from(burst.min(1_000_000)) * PICO;
        Self {
            burst,
            rate_milli: rate_milli.min(1_000_000),
            pico: burst,
            at: now,
        }
    }

    /// Calls that may be made now.
    #[must_use]
    pub fn tokens(&mut self, now: Timestamp) -> u64 {
        let passed = now.nanos_since(self.at).min(NANOS_PER_SECOND * 3_600);
        // A clock that goes back gives nothing, and goes on from there.
        self.at = now;
        let gained = passed.saturating_mul(self.rate_milli);
        self.pico = self.pico.saturating_add(gained).min(self.burst);
        self.pico / PICO
    }

    /// Takes one. False if there is none.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let some = self.tokens(now) > 0;
        if some {
            self.pico -= PICO;
        }
        some
    }
}

/// Numbers that look random: `SplitMix64` (Steele, Lea, Flood 2014), seeded by the caller.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end - 1`, or 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end.max(1)
    }

    /// Whether something of this probability, in millionths, happens.
    pub fn chance(&mut self, millionths: u32) -> bool {
        self.below(1_000_000) < u64::from(millionths)
    }
}

/// The wait before the attempt after so many failures: doubled from `first` up to `longest`, and
/// of that something between half and all, so that many who failed together do not return together.
#[must_use]
pub fn backoff(failures: u32, first: Duration, longest: Duration, random: &mut Random) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX));
    let wait = doubled.min(longest);
    let half = u64::try_from(wait.as_nanos() / 2).unwrap_or(u64::MAX);
    Duration::from_nanos(half.saturating_add(random.below(half.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        let mut bucket = Bucket::new(25, 2_500, at(0));
        let taken =
            |bucket: &mut Bucket, millis| (0..100).filter(|_| bucket.take(at(millis))).count();
        assert_eq!(taken(&mut bucket, 0), 25);
        assert_eq!(taken(&mut bucket, 399), 0);
        assert_eq!(taken(&mut bucket, 400), 1);
        assert_eq!(taken(&mut bucket, 10_400), 25);
        assert_eq!(taken(&mut bucket, 9_000), 0, "the clock went back");
        assert_eq!(taken(&mut bucket, 10_000), 2);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let mut random = Random::new(1);
        let second = Duration::from_secs(1);
        for (failures, longest) in [(0, 1), (1, 2), (3, 8), (5, 20), (99, 20)] {
            let wait = backoff(failures, second, second * 20, &mut random);
            let longest = second * longest;
            assert!(
                (longest / 2..=longest).contains(&wait),
                "{failures}: {wait:?}"
            );
        }
    }
}
