//! Whether a source may be lowered now, and how far: one question after the other.

use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::admission::demand_of;
use crate::money::{Pause, Prices};
use crate::policy::Policy;
use crate::relevance::Relevance;
use crate::rules::{Limits, Mode};
use crate::source::{Rest, Source};
use crate::{Hindrance, Numbers, SourceKey, Usd};

/// How long before the end of a paid hour a pause should begin: deleting takes its time.
const PAID_LEAD: Duration = Duration::from_secs(90);
/// A pause may begin when so little of a paid hour is left.
const PAID_REST: Duration = Duration::from_secs(240);

/// Why a source is kept.
pub(crate) struct No {
    pub(crate) hindrance: Hindrance,
    /// The cheapest grade that came closest; full if none was considered.
    pub(crate) grade: Grade,
    pub(crate) numbers: Numbers,
    /// When to look again, if that is known.
    pub(crate) again: Option<Timestamp>,
}

impl No {
    const fn plain(hindrance: Hindrance) -> Self {
        Self {
            hindrance,
            grade: Grade::Full,
            numbers: Numbers::NONE,
            again: None,
        }
    }

    const fn until(hindrance: Hindrance, again: Timestamp) -> Self {
        Self {
            again: Some(again),
            ..Self::plain(hindrance)
        }
    }
}

/// What a review allows.
#[derive(Clone, Copy)]
pub(crate) struct Yes {
    pub(crate) grade: Grade,
    pub(crate) numbers: Numbers,
    pub(crate) blind_max: Duration,
    /// What the source adds to the steady demand for calls.
    pub(crate) demand: u64,
}

/// One source, looked at now.
pub(crate) struct Review<'a> {
    policy: &'a Policy,
    key: SourceKey,
    source: &'a Source,
    now: Timestamp,
    prices: &'a dyn Prices,
}

impl<'a> Review<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        key: SourceKey,
        now: Timestamp,
        prices: &'a dyn Prices,
    ) -> Self {
        Self {
            policy,
            key,
            source: &policy.sources[key.index()],
            now,
            prices,
        }
    }

    fn limits(&self) -> &'a Limits {
        &self.policy.rules.limits
    }

    /// Everything that could stand in the way, cheap questions first.
    pub(crate) fn judge(&self) -> Result<Yes, No> {
        self.may_pause()?;
        self.is_settled()?;
        self.is_known()?;
        self.is_rested()?;
        let yes = self.cheapest()?;
        self.group_allows()?;
        let refuse = |hindrance, again| No {
            hindrance,
            grade: yes.grade,
            numbers: yes.numbers,
            again,
        };
        let begin = self.begin_of(yes.grade);
        if begin > self.now {
            return Err(refuse(Hindrance::PaidHour, Some(begin)));
        }
        let added = yes.demand.saturating_sub(self.source.demand);
        if !self.policy.admission.admits(added, self.limits()) {
            return Err(refuse(Hindrance::Admission, None));
        }
        Ok(yes)
    }

    /// Nothing speaks against any pause at all.
    fn may_pause(&self) -> Result<(), No> {
        if self.policy.rules.mode == Mode::Manual {
            return Err(No::plain(Hindrance::Manual));
        }
        if self.now < self.policy.held_until {
            return Err(No::until(Hindrance::Held, self.policy.held_until));
        }
        let most = self.limits().pins_max * f64::from(self.policy.live);
        if f64::from(self.policy.alert_pinned) > most {
            return Err(No::plain(Hindrance::PinBudget));
        }
        Ok(())
    }

    /// Nobody wants the source full.
    fn is_settled(&self) -> Result<(), No> {
        let source = self.source;
        if source.terms.lowest() == Grade::Full {
            return Err(No::plain(Hindrance::Floor));
        }
        if source.is_down() || source.rest != Rest::None || source.woken.is_some() {
            return Err(No::plain(Hindrance::Settling));
        }
        let pinned = source.pins.until();
        if self.now < pinned {
            return Err(No::until(Hindrance::Pinned, pinned));
        }
        Ok(())
    }

    /// Enough is known of the source to conclude anything.
    fn is_known(&self) -> Result<(), No> {
        let availability = self.source.window.availability().unwrap_or(0.0);
        let sensor = self.policy.sensor(self.source.sensor);
        if sensor.is_stale(self.now) || availability < self.limits().availability_min {
            return Err(No::plain(Hindrance::Unavailable));
        }
        if self.source.is_silent(self.now) {
            return Err(No::plain(Hindrance::Silent));
        }
        if self.source.is_one_way() {
            return Err(No::plain(Hindrance::OneWay));
        }
        Ok(())
    }

    /// The source has been watched long enough since its last pause, and was not changed too often.
    fn is_rested(&self) -> Result<(), No> {
        let watched = Duration::from_nanos(self.source.on_nanos);
        let on_min = self.source.terms.on_min;
        if watched < on_min {
            let again = self.now.plus_nanos(nanos_of(on_min - watched));
            return Err(No::until(Hindrance::OnTime, again));
        }
        // The pause and its end are two changes.
        if self.source.changes.in_a_day(self.now) + 2 > self.limits().changes_max {
            return Err(No::plain(Hindrance::Changes));
        }
        Ok(())
    }

    fn group_allows(&self) -> Result<(), No> {
        let group = self.policy.groups.get(self.source.group);
        if !group.has_room() {
            return Err(No::plain(Hindrance::GroupShare));
        }
        let limits = self.limits();
        match group.waits(limits.group_change_max, limits.cycle, self.now) {
            Some(end) => Err(No::until(Hindrance::GroupCycle, end)),
            None => Ok(()),
        }
    }

    /// The grade that saves most of those that hide nothing relevant, with its numbers and `b`.
    fn cheapest(&self) -> Result<Yes, No> {
        let floor = self.source.floor(self.limits(), self.now);
        let residual = self.policy.residual(self.key, self.now);
        let mut best: Option<Yes> = None;
        let mut closest = No::plain(Hindrance::Floor);
        for grade in Grade::ALL.into_iter().rev().filter(|one| *one >= floor) {
            let blind_max = self.source.terms.blind_max_of(grade);
            let Some(blind_max) = blind_max.filter(|longest| !longest.is_zero()) else {
                continue;
            };
            match self.weigh(grade, blind_max, residual) {
                Ok(numbers) if best.is_none_or(|best| numbers.saving > best.numbers.saving) => {
                    best = Some(Yes {
                        grade,
                        numbers,
                        blind_max,
                        demand: demand_of(self.source.terms.on_min, blind_max),
                    });
                }
                Ok(_) => {}
                // The last one that fails is the cheapest: it tells what stands in the way of most.
                Err(no) => closest = no,
            }
        }
        best.ok_or(closest)
    }

    /// One grade: its numbers, and what stands in its way.
    fn weigh(&self, grade: Grade, blind_max: Duration, residual: f64) -> Result<Numbers, No> {
        let relevance = Relevance {
            policy: self.policy,
            source: self.source,
            now: self.now,
        };
        let mut numbers = Numbers {
            blind_max: blind_max.as_secs_f64() / 3_600.0,
            tolerance: self.source.terms.tolerance,
            refusal: self.limits().refusal,
            residual,
            ..relevance.evidence(grade, blind_max)
        };
        let refuse = |hindrance, numbers| No {
            hindrance,
            grade,
            numbers,
            again: None,
        };
        if let Some(hindrance) = relevance.hindrance(&numbers) {
            return Err(refuse(hindrance, numbers));
        }
        if !grade.shows(EvidenceClass::Flow) && residual < 1.0 {
            return Err(refuse(Hindrance::Residual, numbers));
        }
        numbers.saving = self.prices.saving(&self.pause(grade, blind_max));
        if numbers.saving < Usd::from_dollars(self.limits().saving_min) {
            return Err(refuse(Hindrance::Saving, numbers));
        }
        Ok(numbers)
    }

    fn pause(&self, grade: Grade, blind_max: Duration) -> Pause {
        let seconds = blind_max.as_secs_f64();
        Pause {
            source: self.key,
            at: self.begin_of(grade),
            session_since: self.source.session_since,
            from: self.source.observed,
            to: grade,
            seconds: (seconds / 2.0, seconds),
            on_seconds: self.source.terms.on_min.as_secs_f64(),
            bytes_per_hour: self.source.rates.by_grade(self.limits().packet_length),
        }
    }

    /// When a pause should begin: now, but one that ends the session not before the hour that is
    /// paid anyway is nearly over.
    fn begin_of(&self, grade: Grade) -> Timestamp {
        if grade > Grade::Off {
            return self.now;
        }
        let since = self.source.session_since;
        let paid = self.prices.paid_until(since, self.now);
        if paid.nanos_since(self.now) <= nanos_of(PAID_REST) {
            return self.now;
        }
        Timestamp::from_nanos(paid.as_nanos().saturating_sub(nanos_of(PAID_LEAD)))
    }
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
