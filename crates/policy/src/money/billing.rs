//! How session time becomes billed hours: three readings of "on an hourly basis".
//!
//! AWS publishes the price of a session-hour and not its granularity (Traffic Mirroring guide,
//! "Pricing"), so the ledger keeps all three side by side. Session time is counted in whole
//! seconds; a session exists from the second of its creation through the second of its deletion.

vxscope_units::reasons! {
    /// How session time is billed.
    pub enum Billing {
        /// By the second.
        Second = "second",
        /// Each started hour since the session was created.
        StartedHour = "started_hour",
        /// Each hour of the clock in which the interface had a session, once.
        CalendarHour = "calendar_hour",
    }
}

impl Billing {
    /// The model of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// Seconds in an hour.
pub(crate) const HOUR: u64 = 3_600;

/// What one source's sessions are billed for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Billed {
    /// Seconds that a session existed.
    pub(crate) seconds: u64,
    /// Started hours, each counted from its session's creation.
    pub(crate) started_hours: u64,
    /// Hours of the clock.
    pub(crate) calendar_hours: u64,
}

impl Billed {
    /// In seconds of the session-hour price.
    pub(crate) fn seconds_of(self, billing: Billing) -> u64 {
        match billing {
            Billing::Second => self.seconds,
            Billing::StartedHour => self.started_hours.saturating_mul(HOUR),
            Billing::CalendarHour => self.calendar_hours.saturating_mul(HOUR),
        }
    }
}

/// The sessions of one source, one after the other; times are seconds and never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tenure {
    closed: Billed,
    /// Second of creation of the session that exists.
    since: Option<u64>,
    /// First hour of the clock that is not billed yet.
    hour_next: u64,
}

impl Tenure {
    /// A session was created; nothing if there is one.
    pub(crate) fn open(&mut self, second: u64) {
        self.since.get_or_insert(second);
    }

    /// The session was deleted in the second before `end`.
    pub(crate) fn close(&mut self, end: u64) {
        let Some(since) = self.since.take() else {
            return;
        };
        // A session that was created and deleted at once existed, and is billed.
        let end = end.max(since + 1);
        self.closed = self.with(since, end);
        self.hour_next = self.hour_next.max((end - 1) / HOUR + 1);
    }

    /// Whether a session exists.
    pub(crate) const fn is_open(&self) -> bool {
        self.since.is_some()
    }

    /// What is billed if all is reckoned up at `now`.
    pub(crate) fn at(&self, now: u64) -> Billed {
        match self.since {
            Some(since) if now > since => self.with(since, now),
            _ => self.closed,
        }
    }

    fn with(&self, since: u64, end: u64) -> Billed {
        let seconds = end - since;
        let first = (since / HOUR).max(self.hour_next);
        let behind = (end - 1) / HOUR + 1;
        Billed {
            seconds: self.closed.seconds + seconds,
            started_hours: self.closed.started_hours + seconds.div_ceil(HOUR),
            calendar_hours: self.closed.calendar_hours + behind.saturating_sub(first),
        }
    }
}

/// Seconds of the session-hour price that a pause of `shortest..=longest` seconds (drawn evenly)
/// saves, as a fraction (numerator, denominator); may be negative.
///
/// By started hours, what is paid and not used when the session goes is lost; over a source's life
/// these amounts add up to what is really saved but for the hour that is running. By hours of the
/// clock, only those count that lie wholly in the pause.
pub(crate) fn saved_seconds(
    billing: Billing,
    at: u64,
    session_since: u64,
    shortest: u64,
    longest: u64,
) -> (i128, i128) {
    let twice = i128::from(shortest) + i128::from(longest.max(shortest));
    match billing {
        Billing::Second => (twice, 2),
        Billing::StartedHour => {
            let unused = unused_seconds(at, session_since);
            (twice - 2 * i128::from(unused), 2)
        }
        Billing::CalendarHour => {
            let longest = longest.max(shortest);
            let first = at.div_ceil(HOUR);
            let hours = floors_below(at + longest + 1) - floors_below(at + shortest);
            let count = i128::from(longest - shortest) + 1;
            // Where the pause ends before the next hour begins, the difference is one too low.
            let within = i128::from(
                (first * HOUR)
                    .saturating_sub(at + shortest)
                    .min(longest - shortest + 1),
            );
            let whole = hours - i128::from(first) * count + within;
            (whole * i128::from(HOUR), count)
        }
    }
}

/// What is paid and not used if a session is deleted now, by started hours.
pub(crate) fn unused_seconds(at: u64, session_since: u64) -> u64 {
    let age = at.saturating_sub(session_since);
    age.max(1).div_ceil(HOUR) * HOUR - age
}

/// Sum of ⌊y / hour⌋ over all y below `n`.
fn floors_below(n: u64) -> i128 {
    let (whole, rest) = (i128::from(n / HOUR), i128::from(n % HOUR));
    i128::from(HOUR) * whole * (whole - 1) / 2 + whole * rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn hours_are_counted_as_each_model_says() {
        // Created at 10:50:00, deleted at 11:10:00, again from 11:20:00 to 12:20:01.
        let spans = [(39_000, 40_200), (40_800, 44_401)];
        check(
            &spans,
            Billed {
                seconds: 1_200 + 3_601,
                started_hours: 1 + 2,
                calendar_hours: 3,
            },
        );
        check(&[(0, 3_600)], billed(3_600, 1, 1));
        check(&[(1, 3_601)], billed(3_600, 1, 2));
        check(&[(7_200, 7_200)], billed(1, 1, 1));
        check(&[], Billed::default());
    }

    #[test]
    fn a_pause_saves_by_each_model() {
        let saved = |billing, at, since, seconds| {
            let (n, d) = saved_seconds(billing, at, since, seconds, seconds);
            n / d
        };
        // Four hours off from half past, 30 minutes into a paid hour.
        assert_eq!(saved(Billing::Second, 5_400, 3_600, 14_400), 14_400);
        assert_eq!(saved(Billing::StartedHour, 5_400, 3_600, 14_400), 12_600);
        assert_eq!(saved(Billing::CalendarHour, 5_400, 3_600, 14_400), 10_800);
        // At the end of the paid hour nothing is lost; ten minutes into it, 20 minutes off cost.
        assert_eq!(saved(Billing::StartedHour, 7_200, 3_600, 1_200), 1_200);
        assert_eq!(saved(Billing::StartedHour, 4_200, 3_600, 1_200), -1_800);
        assert_eq!(saved(Billing::CalendarHour, 4_200, 3_600, 1_200), 0);
        assert_eq!(saved(Billing::StartedHour, 3_600, 3_600, 0), -3_600);
    }

    proptest! {
        #[test]
        fn a_second_by_second_count_agrees(cuts in proptest::collection::vec(0u64..20_000, 0..12)) {
            let spans = spans(cuts);
            let mut tenure = Tenure::default();
            for (from, to) in &spans {
                tenure.open(*from);
                tenure.close(*to);
            }
            prop_assert_eq!(tenure.at(20_000), count_by_second(&spans));
        }

        #[test]
        fn an_open_session_is_billed_as_if_it_ended_now(since in 0u64..9_000, now in 0u64..20_000) {
            let mut tenure = Tenure::default();
            tenure.open(since);
            let open = tenure.at(now);
            let expected = if now > since { count_by_second(&[(since, now)]) } else { Billed::default() };
            prop_assert_eq!(open, expected);
        }

        #[test]
        fn calendar_savings_are_the_hours_wholly_inside(
            at in 0u64..9_000, shortest in 0u64..9_000, more in 0u64..200
        ) {
            let (n, d) = saved_seconds(Billing::CalendarHour, at, 0, shortest, shortest + more);
            let slow: u64 = (shortest..=shortest + more)
                .map(|length| (0..9).filter(|h| h * HOUR >= at && (h + 1) * HOUR <= at + length).count() as u64)
                .sum();
            prop_assert_eq!(n, i128::from(slow * HOUR));
            prop_assert_eq!(d, i128::from(more + 1));
        }

        #[test]
        fn what_pauses_promise_is_what_the_bill_shows(
            cuts in proptest::collection::vec(1u64..30_000, 2..14)
        ) {
            let spans = spans([vec![0], cuts, vec![30_000]].concat());
            let (begin, end) = (spans[0].0, spans[spans.len() - 1].1);
            let mut tenure = Tenure::default();
            let mut always = Tenure::default();
            always.open(begin);
            let mut promised = [0i128; Billing::COUNT];
            for (index, (from, to)) in spans.iter().enumerate() {
                tenure.open(*from);
                tenure.close(*to);
                if let Some((next, _)) = spans.get(index + 1) {
                    for billing in Billing::ALL {
                        let (n, d) = saved_seconds(*billing, *to, *from, next - to, next - to);
                        promised[billing.index()] += n / d;
                    }
                }
            }
            for billing in Billing::ALL {
                let saved = i128::from(always.at(end).seconds_of(*billing))
                    - i128::from(tenure.at(end).seconds_of(*billing));
                let promised = promised[billing.index()];
                let tolerance = if *billing == Billing::StartedHour { i128::from(HOUR) - 1 } else { 0 };
                prop_assert!((saved - promised).abs() <= tolerance, "{billing:?}: {saved} for {promised}");
            }
        }
    }

    fn billed(seconds: u64, started_hours: u64, calendar_hours: u64) -> Billed {
        Billed {
            seconds,
            started_hours,
            calendar_hours,
        }
    }

    fn check(spans: &[(u64, u64)], expected: Billed) {
        let mut tenure = Tenure::default();
        for (from, to) in spans {
            tenure.open(*from);
            tenure.close(*to);
        }
        assert_eq!(tenure.at(100_000), expected);
    }

    /// Spans that do not overlap, from times in any order.
    fn spans(mut cuts: Vec<u64>) -> Vec<(u64, u64)> {
        cuts.sort_unstable();
        cuts.dedup();
        cuts.chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect()
    }

    /// The oracle: looks at every second on its own.
    fn count_by_second(spans: &[(u64, u64)]) -> Billed {
        let mut hours = BTreeSet::new();
        let mut result = Billed::default();
        for (from, to) in spans {
            let mut started = BTreeSet::new();
            for second in *from..*to {
                result.seconds += 1;
                started.insert((second - from) / HOUR);
                hours.insert(second / HOUR);
            }
            result.started_hours += started.len() as u64;
        }
        result.calendar_hours = hours.len() as u64;
        result
    }
}
