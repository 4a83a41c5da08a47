//! Changes on their way to the mirror API: a token bucket, an order, a latency, and outages.

use std::collections::BTreeMap;
use std::ops::Range;

use vxscope_control::Bucket;
use vxscope_sim::random::Random;
use vxscope_units::Grade;

use crate::cost::timestamp;

/// Time a call takes from its sending to its effect, ms.
const LATENCY: Range<u64> = 150..900;
/// A token comes every so many ms, at the rate of half an account.
const TOKEN_MS: u64 = 400;

/// What of the API a policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Changes at once.
    pub burst: u32,
    /// Changes a second in the long run, in thousandths.
    pub milli: u64,
}

/// A change that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) at: u64,
    pub(super) source: u32,
    pub(super) grade: Grade,
}

/// Wanted grades that the API was not asked for yet, and changes under way.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    bucket: Bucket,
    random: Random,
    /// Raises before everything else, then by age; one wish a source.
    waiting: BTreeMap<(bool, u64, u32), Grade>,
    place: BTreeMap<u32, (bool, u64, u32)>,
    under_way: BTreeMap<(u64, u32), Grade>,
}

impl Calls {
    pub(super) fn new(rate: Rate, seed: u64) -> Self {
        Self {
            bucket: Bucket::new(rate.burst, rate.milli, timestamp(0)),
            random: Random::new(seed),
            waiting: BTreeMap::new(),
            place: BTreeMap::new(),
            under_way: BTreeMap::new(),
        }
    }

    /// Wants a grade from now on; an older wish for the source is forgotten.
    pub(super) fn want(&mut self, source: u32, grade: Grade, at: u64) {
        self.forget(source);
        let place = (grade < Grade::Full, at, source);
        self.waiting.insert(place, grade);
        self.place.insert(source, place);
    }

    /// The source is gone.
    pub(super) fn forget(&mut self, source: u32) {
        if let Some(place) = self.place.remove(&source) {
            self.waiting.remove(&place);
        }
    }

    /// Sends what the bucket allows in a span of time.
    pub(super) fn send(&mut self, span: &Range<u64>) {
        let mut at = span.start;
        while !self.waiting.is_empty() && at < span.end {
            if !self.bucket.take(timestamp(at)) {
                at += TOKEN_MS;
                continue;
            }
            if let Some(((_, _, source), grade)) = self.waiting.pop_first() {
                self.place.remove(&source);
                let latency = LATENCY.start + self.random.below(LATENCY.end - LATENCY.start);
                self.under_way.insert((at + latency, source), grade);
            }
        }
    }

    /// The next change that took effect by then.
    pub(super) fn poll_effect(&mut self, by: u64) -> Option<Effect> {
        let entry = self.under_way.first_entry()?;
        let (at, source) = *entry.key();
        if at > by {
            return None;
        }
        let grade = entry.remove();
        Some(Effect { at, source, grade })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 2,
        milli: 1_000,
    };

    #[test]
    fn raises_go_first_and_no_faster_than_the_bucket() {
        let mut calls = Calls::new(RATE, 1);
        for source in 0..4 {
            calls.want(source, Grade::Off, 5);
        }
        calls.want(4, Grade::Full, 9);
        calls.want(3, Grade::Sentinel, 9);
        calls.send(&(10..20));
        let effects = effects(&mut calls, 10_000);
        assert_eq!(effects.len(), 2);
        assert!(effects.contains(&(4, Grade::Full)) && effects.contains(&(0, Grade::Off)));
        calls.send(&(20..10_000));
        let rest = self::effects(&mut calls, 20_000);
        assert_eq!(rest.last(), Some(&(3, Grade::Sentinel)));
        assert_eq!(rest.len(), 3);
    }

    #[test]
    fn nothing_is_sent_for_a_source_that_is_gone() {
        let mut calls = Calls::new(RATE, 1);
        calls.want(7, Grade::Off, 0);
        calls.forget(7);
        calls.send(&(0..1_000));
        assert_eq!(calls.poll_effect(u64::MAX), None);
    }

    fn effects(calls: &mut Calls, by: u64) -> Vec<(u32, Grade)> {
        std::iter::from_fn(|| calls.poll_effect(by))
            .map(|effect| (effect.source, effect.grade))
            .collect()
    }
}
