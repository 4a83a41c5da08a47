//! What pauses hide, estimated without bias from the ones that were refused at random.
//!
//! Each pause that all rules allow is refused with probability p, whatever it would hide. The
//! source then stays full, and the events that nobody would have seen are counted until the pause
//! would have ended. Weighting each refused pause by (1 − p)/p (Horvitz and Thompson, JASA 47,
//! 1952) estimates the events unseen in the pauses that were granted.

use crate::poisson;

/// Sums over refused pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Honesty {
    /// Pauses that were granted.
    pub granted: u64,
    /// Pauses that were refused and are over.
    pub refused: u64,
    /// Events in them that nobody would have seen.
    pub events: u64,
    /// Σ y (1 − p)/p over refused pauses with y events.
    weighted: f64,
    /// Σ y² (1 − p)/p² over the same: an unbiased estimate of the variance of the error.
    variance: f64,
    /// Largest weight of a pause so far.
    weight: f64,
}

/// Relevant events not seen in pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unseen {
    /// The unbiased estimate.
    pub events: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Honesty {
    pub(crate) fn grant(&mut self) {
        self.granted += 1;
    }

    /// A pause that was refused with probability `refusal` is over, and `events` happened in it.
    pub(crate) fn record(&mut self, refusal: f64, events: u32) {
        let count = f64::from(events);
        self.refused += 1;
        self.events += u64::from(events);
        if refusal > 0.0 {
            self.weighted += count * (1.0 - refusal) / refusal;
            self.variance += count * count * (1.0 - refusal) / (refusal * refusal);
            self.weight = self.weight.max((1.0 - refusal) / refusal);
        }
    }

    /// The estimate with its 95 % interval: the wider of the normal one and of the exact Poisson
    /// one of the count, because few refused pauses have any event. `None` before the first
    /// refused pause is over.
    #[must_use]
    pub fn unseen(&self) -> Option<Unseen> {
        if self.refused == 0 {
            return None;
        }
        let half = 1.96 * self.variance.sqrt();
        let count = u32::try_from(self.events).unwrap_or(u32::MAX);
        let low = poisson::lower(count, 0.975) * self.weight;
        let high = poisson::upper(count, 0.975) * self.weight;
        Some(Unseen {
            events: self.weighted,
            low: (self.weighted - half).min(low).max(0.0),
            high: (self.weighted + half).max(high),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn the_estimate_is_unbiased_and_its_interval_covers() {
        let (refusal, rounds, pauses) = (0.05, 600, 2_000);
        let mut random = Seeded::new(11);
        let (mut sum, mut truth, mut covered) = (0.0, 0.0, 0);
        for _ in 0..rounds {
            let mut honesty = Honesty::default();
            let mut unseen = 0.0;
            for _ in 0..pauses {
                // Bursts: one pause in twenty has three events.
                let events = if random.unit() < 0.05 { 3 } else { 0 };
                if random.unit() < refusal {
                    honesty.record(refusal, events);
                } else {
                    honesty.grant();
                    unseen += f64::from(events);
                }
            }
            let estimate = honesty.unseen().unwrap();
            sum += estimate.events;
            truth += unseen;
            covered += u32::from(estimate.low <= unseen && unseen <= estimate.high);
        }
        assert!((sum / truth - 1.0).abs() < 0.03, "{}", sum / truth);
        assert!(f64::from(covered) / f64::from(rounds) > 0.9, "{covered}");
    }

    #[test]
    fn no_event_in_a_hundred_refusals_still_has_an_upper_end() {
        let mut honesty = Honesty::default();
        assert_eq!(honesty.unseen(), None);
        for _ in 0..100 {
            honesty.record(0.05, 0);
        }
        let unseen = honesty.unseen().unwrap();
        assert_eq!((unseen.events, unseen.low), (0.0, 0.0));
        assert!((unseen.high - 3.689 * 19.0).abs() < 0.01, "{}", unseen.high);
    }
}
