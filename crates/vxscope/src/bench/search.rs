//! Halving in on the highest rate that loses nothing.

use std::time::Duration;

use indicatif::HumanCount;
use serde_json::{Value, json};

/// Rates among which it is looked for.
const RATES: (f64, f64) = (5_000.0, 10_000_000.0);
/// Sent less than this part of what was asked: the sender cannot do more.
const SENDER_FLOOR: f64 = 0.9;
/// A rate that loses, or is not reached, is tried again: a pause in which others had the machine
/// says nothing about sensor and sender.
const TRIES: u32 = 2;

/// One run at a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Try {
    pub(super) asked: u64,
    pub(super) sent: u64,
    pub(super) bytes: u64,
    pub(super) time: Duration,
    pub(super) lost: u64,
}

impl Try {
    /// Packets a second, as they were really sent.
    fn rate(&self) -> u64 {
        let nanos = self.time.as_nanos().max(1);
        let rate = u128::from(self.sent) * 1_000_000_000 / nanos;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "asked": self.asked,
            "sent_per_second": self.rate(),
            "sent": self.sent,
            "lost": self.lost,
        })
    }
}

/// What is known so far.
#[derive(Clone, Debug)]
pub(super) struct Search {
    low: f64,
    high: f64,
    tries: Vec<Try>,
    steps: u32,
    /// Tries of the rate that is looked at which lost packets or sent too few.
    failures: u32,
    is_senders: bool,
}

impl Search {
    /// Rates looked at, at most: then the last two differ by six percent.
    pub(super) const STEPS: u32 = 7;

    pub(super) const fn new() -> Self {
        Self {
            low: RATES.0,
            high: RATES.1,
            tries: Vec::new(),
            steps: 0,
            failures: 0,
            is_senders: false,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.steps >= Self::STEPS || self.is_senders
    }

    pub(super) const fn steps_done(&self) -> u32 {
        self.steps
    }

    /// The middle by ratio.
    pub(super) fn next_rate(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two rates that fit"
        )]
        let rate = (self.low * self.high).sqrt() as u64;
        rate
    }

    pub(super) fn learn(&mut self, tried: Try) {
        self.tries.push(tried);
        let falls_short = (tried.rate() as f64) < tried.asked as f64 * SENDER_FLOOR;
        if tried.lost > 0 || falls_short {
            self.failures += 1;
            if self.failures < TRIES {
                return;
            }
        }
        if tried.lost > 0 {
            self.high = self.high.min(tried.asked as f64);
        } else {
            self.low = tried.asked as f64;
            // There is nothing to learn above what the sender can do.
            self.is_senders = falls_short;
        }
        self.failures = 0;
        self.steps += 1;
    }

    /// The best of those that lost nothing.
    fn best(&self) -> Try {
        let lossless = self.tries.iter().filter(|tried| tried.lost == 0);
        lossless
            .max_by_key(|tried| tried.rate())
            .copied()
            .unwrap_or_default()
    }

    /// Packets a second.
    pub(super) fn rate(&self) -> u64 {
        self.best().rate()
    }

    pub(super) fn bits(&self) -> f64 {
        let best = self.best();
        best.bytes as f64 * 8.0 / best.time.as_secs_f64().max(1e-9)
    }

    /// Whether the sender could do no more.
    pub(super) const fn is_senders(&self) -> bool {
        self.is_senders
    }

    /// What the slowest rate that lost packets lost.
    pub(super) fn above(&self) -> Option<String> {
        let (best, lossy) = (self.rate(), self.tries.iter().filter(|it| it.lost > 0));
        let next = lossy.filter(|it| it.rate() >= best);
        let next = next.min_by_key(|tried| tried.rate())?;
        let share = next.lost as f64 * 100.0 / next.sent.max(1) as f64;
        Some(format!("{share:.1} % at {}/s", HumanCount(next.rate())))
    }

    pub(super) fn tries(&self) -> &[Try] {
        &self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Search, Try};

    /// A machine that carries so much, behind a sender that can send so much.
    fn search(carries: u64, sends: u64) -> Search {
        let mut search = Search::new();
        while !search.is_done() {
            let asked = search.next_rate();
            let sent = asked.min(sends);
            search.learn(Try {
                asked,
                sent,
                bytes: sent * 64,
                time: Duration::from_secs(1),
                lost: sent.saturating_sub(carries),
            });
        }
        search
    }

    #[test]
    fn the_edge_is_found_within_six_percent() {
        for carries in [6_000, 123_456, 1_000_000, 8_000_000] {
            let found = search(carries, u64::MAX);
            assert!(!found.is_senders());
            let part = found.rate() as f64 / carries as f64;
            assert!((0.93..=1.0).contains(&part), "{carries}: {}", found.rate());
            assert!((found.bits() - found.rate() as f64 * 512.0).abs() < 1.0);
            assert!(found.above().is_some());
        }
    }

    #[test]
    fn a_sender_at_its_limit_ends_it() {
        let found = search(u64::MAX, 50_000);
        assert!(found.is_senders() && found.tries().len() <= 3);
        assert_eq!((found.rate(), found.above()), (50_000, None));
    }

    #[test]
    fn one_loss_is_no_loss() {
        let mut search = Search::new();
        let asked = search.next_rate();
        let tried = |lost| Try {
            asked,
            sent: asked,
            bytes: 0,
            time: Duration::from_secs(1),
            lost,
        };
        search.learn(tried(3));
        assert_eq!(search.next_rate(), asked);
        search.learn(tried(0));
        assert!(search.next_rate() > asked);
        let asked_before = search.next_rate();
        search.learn(Try {
            asked: asked_before,
            ..tried(1)
        });
        search.learn(Try {
            asked: asked_before,
            ..tried(1)
        });
        assert!(search.next_rate() < asked_before);
    }
}
