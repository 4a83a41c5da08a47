//! When the next packet may leave. Time is an argument.

/// How much of a delay is made up for. A receiver with a buffer of the usual size takes what
/// comes at once then; what was delayed longer leaves later than planned.
const CATCH_UP_NS: u64 = 20_000_000;
const SECOND_NS: u128 = 1_000_000_000;

/// A number of packets a second.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: u64,
    /// Where the schedule begins; it moves when a long delay is given up.
    start_ns: u64,
    turns: u64,
}

impl Pace {
    /// Packets a second, from time 0. A rate of 0 is taken as 1.
    #[must_use]
    pub fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            start_ns: 0,
            turns: 0,
        }
    }

    /// Nanoseconds to wait before the next packet leaves. 0 means now: the turn is taken.
    #[must_use]
    pub fn poll_turn(&mut self, now_ns: u64) -> u64 {
        let planned = u128::from(self.turns) * SECOND_NS / u128::from(self.rate);
        let planned = u64::try_from(planned).unwrap_or(u64::MAX);
        let due = self.start_ns.saturating_add(planned);
        if due > now_ns {
            return due - now_ns;
        }
        self.start_ns += (now_ns - due).saturating_sub(CATCH_UP_NS);
        self.turns += 1;
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{CATCH_UP_NS, Pace};

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn every_second_has_as_many_turns_as_the_rate() {
        for rate in [1, 3, 1_000, 123_457] {
            let (mut pace, mut now) = (Pace::new(rate), 0);
            let turns = turns_until(&mut pace, &mut now, SECOND_NS * 2 - 1);
            assert_eq!(turns, rate * 2);
        }
    }

    #[test]
    fn a_short_delay_is_made_up_for_and_a_long_one_is_not() {
        let late = |delay: u64| {
            let (mut pace, mut now) = (Pace::new(1_000), 0);
            assert_eq!(turns_until(&mut pace, &mut now, SECOND_NS - 1), 1_000);
            now += delay;
            let at = now;
            turns_until(&mut pace, &mut now, at)
        };
        assert_eq!(late(5_000_000), 5);
        // The turn that is due now, and those of the time that is made up for.
        assert_eq!(late(60 * SECOND_NS), CATCH_UP_NS / 1_000_000 + 1);
    }

    /// Takes every turn until the clock has passed `end`.
    fn turns_until(pace: &mut Pace, now: &mut u64, end: u64) -> u64 {
        let mut turns = 0;
        loop {
            match pace.poll_turn(*now) {
                0 => turns += 1,
                wait if *now + wait > end => {
                    *now = end;
                    return turns;
                }
                wait => *now += wait,
            }
        }
    }
}
