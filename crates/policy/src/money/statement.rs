//! What was spent, what an always-full mirror would have cost, and the difference, as ranges over
//! billing models and estimates.
//!
//! A statement holds the amounts of every *scenario*: a billing model, the lower or the higher end
//! of each price, and the lower or the higher end of each unknown volume. Within one scenario all
//! amounts are exact and add up; a range spans the scenarios of the selected billing models. So the
//! total of two sources is not wider than it must be: both are billed by the same model.

use std::ops::{Add, AddAssign, Sub};

use super::account::{Calls, Quantities};
use super::billing::Billed;
use super::path::{Path, Traffic};
use super::{Billing, Card, Range, Usd};

/// Each billing model with the lower and the higher end of prices and of volumes.
pub(crate) const SCENARIOS: usize = Billing::COUNT * 4;

/// The lines of a bill, in one scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Session-hours.
    pub session: Usd,
    /// Mirrored bytes by [`Path::index`].
    pub data: [Usd; Path::COUNT],
    /// What the consumer behind the sensor asks: not AWS money.
    pub ingest: Usd,
    /// What lowering and raising itself cost.
    pub pausing: Usd,
}

impl Lines {
    /// All lines together.
    #[must_use]
    pub fn sum(&self) -> Usd {
        self.aws() + self.ingest
    }

    /// What AWS asks.
    #[must_use]
    pub fn aws(&self) -> Usd {
        self.session + self.data.into_iter().sum() + self.pausing
    }

    fn zip(self, other: Self, with: impl Fn(Usd, Usd) -> Usd) -> Self {
        Self {
            session: with(self.session, other.session),
            data: std::array::from_fn(|path| with(self.data[path], other.data[path])),
            ingest: with(self.ingest, other.ingest),
            pausing: with(self.pausing, other.pausing),
        }
    }
}

/// How counts of either sign are put together.
type CountsWith = (fn(u64, u64) -> u64, fn(i64, i64) -> i64);

/// What was used, in its own units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Seconds that sessions existed.
    pub session_seconds: u64,
    /// Started hours, each counted from its session's creation.
    pub started_hours: u64,
    /// Hours of the clock.
    pub calendar_hours: u64,
    /// Seconds that sessions would have existed, had nothing been paused.
    pub always_seconds: u64,
    /// Mirrored frames by [`Path::index`].
    pub mirrored: [Traffic; Path::COUNT],
    /// Calls made in order to lower and raise.
    pub calls: Calls,
    /// Seconds below full for which the traffic of full is an estimate; below zero in a difference
    /// of two statements if between them more became known than was newly estimated.
    pub estimated_seconds: i64,
    /// Seconds in Regions that the price table does not know.
    pub undocumented_seconds: u64,
}

impl Usage {
    /// What by started hours is paid and was not used: whoever deletes a session before its hour
    /// is over pays the rest.
    #[must_use]
    pub fn unused_seconds(&self) -> u64 {
        let paid = self.started_hours.saturating_mul(super::billing::HOUR);
        paid.saturating_sub(self.session_seconds)
    }

    fn zip(self, other: Self, with: impl Fn(u64, u64) -> u64, signed: fn(i64, i64) -> i64) -> Self {
        let traffic = |path: usize| Traffic {
            packets: with(self.mirrored[path].packets, other.mirrored[path].packets),
            bytes: with(self.mirrored[path].bytes, other.mirrored[path].bytes),
        };
        Self {
            session_seconds: with(self.session_seconds, other.session_seconds),
            started_hours: with(self.started_hours, other.started_hours),
            calendar_hours: with(self.calendar_hours, other.calendar_hours),
            always_seconds: with(self.always_seconds, other.always_seconds),
            mirrored: std::array::from_fn(traffic),
            calls: Calls {
                mutations: with(self.calls.mutations, other.calls.mutations),
                breadcrumbs: with(self.calls.breadcrumbs, other.calls.breadcrumbs),
            },
            estimated_seconds: signed(self.estimated_seconds, other.estimated_seconds),
            undocumented_seconds: with(self.undocumented_seconds, other.undocumented_seconds),
        }
    }
}

/// The bill of a source, or of several, over some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    usage: Usage,
    spent: [Lines; SCENARIOS],
    always_full: [Lines; SCENARIOS],
    /// Bit n: [`Billing`] n is selected in one of the price cards.
    selected: u8,
}

impl Statement {
    pub(crate) fn draw(quantities: &Quantities, card: &Card) -> Self {
        let Quantities { billed, always, .. } = *quantities;
        let mut statement = Self {
            usage: Usage {
                session_seconds: billed.seconds,
                started_hours: billed.started_hours,
                calendar_hours: billed.calendar_hours,
                always_seconds: always.seconds,
                mirrored: quantities.mirrored,
                calls: quantities.calls,
                estimated_seconds: i64::try_from(quantities.estimated_seconds).unwrap_or(i64::MAX),
                undocumented_seconds: if card.estimate { always.seconds } else { 0 },
            },
            selected: card
                .billing
                .iter()
                .fold(0, |bits, one| bits | 1 << one.index()),
            ..Self::default()
        };
        for (index, scenario) in Scenario::all().enumerate() {
            let full = if scenario.volume_high {
                &quantities.full_most
            } else {
                &quantities.full_least
            };
            statement.spent[index] = Lines {
                pausing: scenario.pausing(quantities.calls, card),
                ..scenario.lines(billed, &quantities.mirrored, card)
            };
            statement.always_full[index] = scenario.lines(always, full, card);
        }
        statement
    }

    /// What was used.
    #[must_use]
    pub const fn usage(&self) -> &Usage {
        &self.usage
    }

    /// What was spent.
    #[must_use]
    pub fn spent(&self) -> Range {
        self.range(|spent, _| spent.sum())
    }

    /// What always-full mirrors would have cost.
    #[must_use]
    pub fn always_full(&self) -> Range {
        self.range(|_, full| full.sum())
    }

    /// Always-full less spent, both by the same model; below zero if pausing cost more.
    #[must_use]
    pub fn saved(&self) -> Range {
        self.range(|spent, full| full.sum() - spent.sum())
    }

    /// What AWS would have been paid more, without the consumer's ingest.
    #[must_use]
    pub fn saved_aws(&self) -> Range {
        self.range(|spent, full| full.aws() - spent.aws())
    }

    /// One line, or any sum of lines, of what was spent.
    #[must_use]
    pub fn spent_on(&self, line: impl Fn(&Lines) -> Usd) -> Range {
        self.range(|spent, _| line(spent))
    }

    /// One line, or any sum of lines, of what always-full would have cost.
    #[must_use]
    pub fn always_full_on(&self, line: impl Fn(&Lines) -> Usd) -> Range {
        self.range(|_, full| line(full))
    }

    /// Spent and always-full by one billing model, whether it is selected or not.
    #[must_use]
    pub fn by_billing(&self, billing: Billing) -> (Range, Range) {
        let of = |lines: &[Lines; SCENARIOS]| {
            let scenarios = Scenario::all().zip(lines);
            Range::over(
                scenarios
                    .filter(|(scenario, _)| scenario.billing == billing)
                    .map(|(_, lines)| lines.sum()),
            )
        };
        (of(&self.spent), of(&self.always_full))
    }

    /// What was added after an `earlier` statement of the same account or ledger.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.zip(
            earlier,
            (u64::saturating_sub, i64::saturating_sub),
            Usd::sub,
        )
    }

    fn range(&self, amount: impl Fn(&Lines, &Lines) -> Usd) -> Range {
        let scenarios = Scenario::all().zip(self.spent.iter().zip(&self.always_full));
        Range::over(
            scenarios
                .filter(|(scenario, _)| self.selected & (1 << scenario.billing.index()) != 0)
                .map(|(_, (spent, full))| amount(spent, full)),
        )
    }

    fn zip(
        &self,
        other: &Self,
        (counts, signed): CountsWith,
        amounts: impl Fn(Usd, Usd) -> Usd,
    ) -> Self {
        let lines = |one: &[Lines; SCENARIOS], two: &[Lines; SCENARIOS]| {
            std::array::from_fn(|index| one[index].zip(two[index], &amounts))
        };
        Self {
            usage: self.usage.zip(other.usage, counts, signed),
            spent: lines(&self.spent, &other.spent),
            always_full: lines(&self.always_full, &other.always_full),
            selected: self.selected | other.selected,
        }
    }
}

impl Add<&Self> for Statement {
    type Output = Self;
    fn add(self, other: &Self) -> Self {
        self.zip(other, (u64::saturating_add, i64::saturating_add), Usd::add)
    }
}

impl AddAssign<&Self> for Statement {
    fn add_assign(&mut self, other: &Self) {
        *self = self.zip(other, (u64::saturating_add, i64::saturating_add), Usd::add);
    }
}

/// One way the bill may turn out.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    billing: Billing,
    price_high: bool,
    volume_high: bool,
}

impl Scenario {
    fn all() -> impl Iterator<Item = Self> {
        Billing::ALL.iter().flat_map(|billing| {
            [(false, false), (false, true), (true, false), (true, true)].map(
                |(price_high, volume_high)| Self {
                    billing: *billing,
                    price_high,
                    volume_high,
                },
            )
        })
    }

    const fn price(self, range: Range) -> Usd {
        if self.price_high {
            range.high
        } else {
            range.low
        }
    }

    fn lines(self, billed: Billed, traffic: &[Traffic; Path::COUNT], card: &Card) -> Lines {
        let seconds = u128::from(billed.seconds_of(self.billing));
        let cost = |path: &Path| {
            let price = self.price(card.rates.per_gigabyte[path.index()]);
            traffic[path.index()].cost(*path, self.volume_high, price, card.gigabyte)
        };
        // The consumer sees frames, not their encapsulation.
        let bytes = traffic
            .iter()
            .map(|one| u128::from(one.bytes))
            .sum::<u128>();
        let mut data = [Usd::ZERO; Path::COUNT];
        for path in Path::ALL {
            data[path.index()] = cost(path);
        }
        Lines {
            session: self
                .price(card.rates.session_hour)
                .times(seconds, u128::from(super::billing::HOUR)),
            data,
            ingest: self.price(card.ingest.per_gigabyte).times(
                bytes * u128::from(card.ingest.permille),
                u128::from(card.gigabyte) * 1_000,
            ),
            pausing: Usd::ZERO,
        }
    }

    fn pausing(self, calls: Calls, card: &Card) -> Usd {
        let times = |range: Range, count: u64| self.price(range).times(u128::from(count), 1);
        times(card.rates.management_event, calls.mutations)
            + times(card.rates.breadcrumb, calls.breadcrumbs)
    }
}
