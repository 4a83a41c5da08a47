//! Whether a source may be lowered now: one question after the other, the cheap ones first.

use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::admission::demand_of;
use crate::money::{Pause, Prices};
use crate::policy::{Policy, nanos};
use crate::rules::Mode;
use crate::source::{Rest, Source};
use crate::window::{Comparable, plus};
use crate::{Cause, Decisions, Hindrance, Kept, Numbers, SourceKey, Usd, Wish};

/// Sources looked at in one decision, at most; the others are looked at in the next one.
pub(crate) const REVIEWS_MAX: usize = 2_048;
/// A source that was not lowered is looked at again after a time drawn from this range, so that
/// sources do not move in step.
const AGAIN_NANOS: [f64; 2] = [300e9, 900e9];
/// How long before the end of a paid hour a pause should begin: deleting takes its time.
const PAID_LEAD: Duration = Duration::from_secs(90);
/// A pause may begin when so little of a paid hour is left.
const PAID_REST: Duration = Duration::from_secs(240);
/// Members of a group that are asked for its baseline.
const BASELINE_MEMBERS: usize = 32;
/// Members that make a baseline.
const BASELINE_MIN: usize = 2;

/// Why not, the numbers, and when to look again if that is known.
type No = (Hindrance, Grade, Numbers, Option<Timestamp>);

/// What a review allows.
struct Yes {
    grade: Grade,
    numbers: Numbers,
    blind_max: Duration,
    demand: u64,
}

const fn no(hindrance: Hindrance, again: Option<Timestamp>) -> No {
    (hindrance, Grade::Full, Numbers::NONE, again)
}

impl Policy {
    pub(crate) fn review_due(
        &mut self,
        now: Timestamp,
        prices: &dyn Prices,
        decisions: &mut dyn Decisions,
    ) {
        let mut looked = 0;
        while looked < REVIEWS_MAX {
            let Some((at, key)) = self.reviews.take_due(now) else {
                return;
            };
            let source = &self.sources[key.index()];
            if source.live && source.review_at == at {
                self.review(key, now, prices, decisions);
                looked += 1;
            }
        }
        if self.reviews.next().is_some_and(|at| at <= now) {
            self.counts.reviews_deferred += 1;
        }
    }

    fn review(
        &mut self,
        key: SourceKey,
        now: Timestamp,
        prices: &dyn Prices,
        decisions: &mut dyn Decisions,
    ) {
        let parts = self.parts;
        let source = &mut self.sources[key.index()];
        source.window.advance(parts, now);
        source.edges.expire(now);
        match self.judge(key, now, prices) {
            Ok(yes) => self.lower_or_refuse(key, &yes, now, decisions),
            Err(kept) => self.keep(key, kept, now, decisions),
        }
    }

    fn keep(
        &mut self,
        key: SourceKey,
        (hindrance, grade, numbers, again): No,
        now: Timestamp,
        decisions: &mut dyn Decisions,
    ) {
        let [low, high] = AGAIN_NANOS;
        let wait = nanos(self.random.between(low, high));
        // A source that fell out of its rhythm adds no steady demand until it is back in it.
        let stays = !matches!(
            hindrance,
            Hindrance::OnTime | Hindrance::PaidHour | Hindrance::GroupCycle | Hindrance::Settling
        );
        let source = &mut self.sources[key.index()];
        if stays && source.demand > 0 {
            self.admission.demand = self.admission.demand.saturating_sub(source.demand);
            source.demand = 0;
        }
        match hindrance {
            Hindrance::Relevant => source.failed = true,
            Hindrance::Residual | Hindrance::Saving => source.failed = false,
            _ => {}
        }
        let kept = Kept {
            source: key,
            at: now,
            grade,
            importance: source.importance,
            hindrance,
            numbers,
        };
        if source.told.replace(hindrance) != Some(hindrance) {
            decisions.kept(&kept);
        }
        let again = again.filter(|at| *at > now);
        self.schedule_review(key, again.unwrap_or_else(|| now.plus_nanos(wait)));
    }

    fn judge(&self, key: SourceKey, now: Timestamp, prices: &dyn Prices) -> Result<Yes, No> {
        let source = &self.sources[key.index()];
        self.may_pause(now)?;
        self.is_settled(source, now)?;
        self.is_known(source, now)?;
        self.is_rested(source, now)?;
        let (grade, numbers, blind_max) = self.cheapest(key, source, now, prices)?;
        self.group_allows(source, now)?;
        let begin = begin_of(source, grade, now, prices);
        if begin > now {
            return Err((Hindrance::PaidHour, grade, numbers, Some(begin)));
        }
        let demand = demand_of(source.terms.on_min, blind_max);
        let added = demand.saturating_sub(source.demand);
        if !self.admission.admits(added, self.limits()) {
            return Err((Hindrance::Admission, grade, numbers, None));
        }
        Ok(Yes {
            grade,
            numbers,
            blind_max,
            demand,
        })
    }

    fn may_pause(&self, now: Timestamp) -> Result<(), No> {
        if self.rules.mode == Mode::Manual {
            return Err(no(Hindrance::Manual, None));
        }
        if now < self.held_until {
            return Err(no(Hindrance::Held, Some(self.held_until)));
        }
        let known = self.sources.len() as f64;
        if f64::from(self.alert_pinned) > self.limits().pins_max * known {
            return Err(no(Hindrance::PinBudget, None));
        }
        Ok(())
    }

    /// Nothing about the source itself speaks against a pause now.
    fn is_settled(&self, source: &Source, now: Timestamp) -> Result<(), No> {
        if source.terms.lowest() == Grade::Full {
            return Err(no(Hindrance::Floor, None));
        }
        if source.is_down() || source.rest != Rest::None || source.woken.is_some() {
            return Err(no(Hindrance::Settling, None));
        }
        let pinned = source.pins.until();
        if now < pinned {
            return Err(no(Hindrance::Pinned, Some(pinned)));
        }
        Ok(())
    }

    /// The source has been watched long enough since its last pause, and was not changed too often.
    fn is_rested(&self, source: &Source, now: Timestamp) -> Result<(), No> {
        let watched = Duration::from_nanos(source.on_nanos);
        if watched < source.terms.on_min {
            let rest = nanos_of(source.terms.on_min - watched);
            return Err(no(Hindrance::OnTime, Some(now.plus_nanos(rest))));
        }
        // The pause and its end are two changes.
        if source.changes.in_a_day(now) + 2 > self.limits().changes_max {
            return Err(no(Hindrance::Changes, None));
        }
        Ok(())
    }

    /// Enough is known of the source to conclude anything.
    fn is_known(&self, source: &Source, now: Timestamp) -> Result<(), No> {
        let availability = source.window.availability().unwrap_or(0.0);
        if self.sensor(source.sensor).is_stale(now) || availability < self.limits().availability_min
        {
            return Err(no(Hindrance::Unavailable, None));
        }
        if source.is_silent(now) {
            return Err(no(Hindrance::Silent, None));
        }
        if source.is_one_way() {
            return Err(no(Hindrance::OneWay, None));
        }
        Ok(())
    }

    fn group_allows(&self, source: &Source, now: Timestamp) -> Result<(), No> {
        let group = self.groups.get(source.group);
        let share = group
            .members
            .iter()
            .map(|member| self.sources[member.index()].terms.group_lowered_max)
            .fold(1.0, f64::min);
        if !group.has_room(share) {
            return Err(no(Hindrance::GroupShare, None));
        }
        let limits = self.limits();
        if let Some(end) = group.waits(limits.group_change_max, limits.cycle, now) {
            return Err(no(Hindrance::GroupCycle, Some(end)));
        }
        Ok(())
    }

    /// The grade that saves most of those that hide nothing relevant, with its numbers and `b`.
    fn cheapest(
        &self,
        key: SourceKey,
        source: &Source,
        now: Timestamp,
        prices: &dyn Prices,
    ) -> Result<(Grade, Numbers, Duration), No> {
        let floor = source.floor(self.limits(), now);
        if floor == Grade::Full {
            return Err(no(Hindrance::Floor, None));
        }
        let mut best: Option<(Grade, Numbers, Duration)> = None;
        let mut closest: Option<No> = None;
        for grade in Grade::ALL.into_iter().rev() {
            if grade == Grade::Full || grade < floor {
                continue;
            }
            let Some(blind_max) = source.terms.blind_max_of(grade) else {
                continue;
            };
            let (numbers, verdict) = self.weigh(key, source, grade, blind_max, now, prices);
            match verdict {
                None if best.is_none_or(|(_, best, _)| numbers.saving > best.saving) => {
                    best = Some((grade, numbers, blind_max));
                }
                None => {}
                // The last grade that failed is the cheapest one: what stands in the way of most.
                Some(hindrance) => closest = Some((hindrance, grade, numbers, None)),
            }
        }
        best.ok_or_else(|| closest.unwrap_or_else(|| no(Hindrance::Floor, None)))
    }

    /// One grade: its numbers, and what stands in its way.
    fn weigh(
        &self,
        key: SourceKey,
        source: &Source,
        grade: Grade,
        blind_max: Duration,
        now: Timestamp,
        prices: &dyn Prices,
    ) -> (Numbers, Option<Hindrance>) {
        let hours = blind_max.as_secs_f64() / 3_600.0;
        let mut numbers = Numbers {
            blind_max: hours,
            tolerance: source.terms.tolerance,
            refusal: self.limits().refusal,
            residual: self.residual(key, now),
            ..self.evidence(source, grade, blind_max, now)
        };
        let margin = if source.failed {
            1.0 - self.limits().hysteresis
        } else {
            1.0
        };
        let expected = numbers.rate_upper * hours;
        if hours <= 0.0 || expected.is_nan() || expected > source.terms.tolerance * margin {
            let best = self.uppers.of(0) / numbers.hours * hours;
            let too_short = numbers.hours <= 0.0 || best > source.terms.tolerance;
            let hindrance = if too_short {
                Hindrance::Hours
            } else {
                Hindrance::Relevant
            };
            return (numbers, Some(hindrance));
        }
        if !grade.shows(EvidenceClass::Flow) && numbers.residual < 1.0 {
            return (numbers, Some(Hindrance::Residual));
        }
        numbers.saving = prices.saving(&self.pause(key, source, grade, blind_max, now, prices));
        let least = Usd::from_dollars(self.limits().saving_min);
        let pays = numbers.saving >= least;
        (numbers, (!pays).then_some(Hindrance::Saving))
    }

    /// Events, hours and the bound of their rate in the worst part of the day that a pause from
    /// now on would touch.
    fn evidence(
        &self,
        source: &Source,
        grade: Grade,
        blind_max: Duration,
        now: Timestamp,
    ) -> Numbers {
        let hides = |class: EvidenceClass| !grade.shows(class);
        let shared = self.shared_events(source, grade, now);
        let parts = self.parts.touched(now, blind_max);
        let mut worst = Numbers::NONE;
        for part in (0..32).filter(|part| parts & (1 << part) != 0) {
            let own = source.window.comparable(part, hides);
            let group = self.baseline(source, part, hides, now);
            let hours = own.hours + group.hours;
            let events = (own.events.saturating_add(group.events)).saturating_add(shared);
            let rate_upper = if hours > 0.0 {
                self.uppers.of(events) / hours
            } else {
                f64::INFINITY
            };
            if rate_upper > worst.rate_upper {
                worst = Numbers {
                    events,
                    hours,
                    rate_upper,
                    ..Numbers::NONE
                };
            }
        }
        worst
    }

    /// Events with other sources that these would not show at their planned grades. Kept without
    /// the part of the day, they count for every one.
    fn shared_events(&self, source: &Source, grade: Grade, now: Timestamp) -> u32 {
        let mut events = 0_u32;
        for edge in source.edges.iter() {
            for class in EvidenceClass::ALL
                .into_iter()
                .filter(|one| !grade.shows(*one))
            {
                let count = u32::from(edge.events[class.index()]);
                if count > 0 && !self.can_show(edge.peer, class, now) {
                    events = events.saturating_add(count);
                }
            }
        }
        events
    }

    /// What the average established member of the group adds to a source that is too young to
    /// speak for itself.
    fn baseline(
        &self,
        source: &Source,
        part: usize,
        hides: impl Fn(EvidenceClass) -> bool + Copy,
        now: Timestamp,
    ) -> Comparable {
        if now >= plus(source.enrolled, self.limits().new_pin) {
            return Comparable::default();
        }
        let (mut hours, mut events, mut members) = (0.0, 0_u32, 0_u32);
        for member in self.established(source.group, now) {
            let window = member.window.comparable(part, hides);
            hours += window.hours;
            events = events.saturating_add(window.events);
            members += 1;
        }
        if members == 0 {
            return Comparable::default();
        }
        Comparable {
            hours: hours / f64::from(members),
            events: events.div_ceil(members),
        }
    }

    fn established(&self, group: u32, now: Timestamp) -> impl Iterator<Item = &Source> {
        let new_pin = self.limits().new_pin;
        let members = self.groups.get(group).members.iter();
        members
            .map(|member| &self.sources[member.index()])
            .filter(move |member| now >= plus(member.enrolled, new_pin))
            .take(BASELINE_MEMBERS)
    }

    /// Whether the group has members that have shown what is usual.
    pub(crate) fn has_baseline(&self, group: u32, now: Timestamp) -> bool {
        self.established(group, now).take(BASELINE_MIN).count() == BASELINE_MIN
    }

    fn pause(
        &self,
        key: SourceKey,
        source: &Source,
        grade: Grade,
        blind_max: Duration,
        now: Timestamp,
        prices: &dyn Prices,
    ) -> Pause {
        let seconds = blind_max.as_secs_f64();
        Pause {
            source: key,
            at: begin_of(source, grade, now, prices),
            session_since: source.session_since,
            from: source.observed,
            to: grade,
            seconds: (seconds / 2.0, seconds),
            on_seconds: source.terms.on_min.as_secs_f64(),
            bytes_per_hour: source.rates.by_grade(self.limits().packet_length),
        }
    }

    /// Everything allows the pause; chance may still refuse it.
    fn lower_or_refuse(
        &mut self,
        key: SourceKey,
        yes: &Yes,
        now: Timestamp,
        decisions: &mut dyn Decisions,
    ) {
        let most = nanos_of(yes.blind_max) as f64;
        // Drawn in any case, so that a refusal changes nothing for anybody else.
        let until = now.plus_nanos(nanos(self.random.between(most / 2.0, most)));
        let refused = self.random.unit() < self.limits().refusal;
        let source = &mut self.sources[key.index()];
        source.failed = false;
        self.ends.add(until, key);
        if refused {
            source.rest = Rest::Refused {
                until,
                grade: yes.grade,
                events: 0,
            };
            source.told = Some(Hindrance::Honesty);
            decisions.kept(&Kept {
                source: key,
                at: now,
                grade: yes.grade,
                importance: source.importance,
                hindrance: Hindrance::Honesty,
                numbers: yes.numbers,
            });
            return;
        }
        let wish = Wish {
            source: key,
            at: now,
            from: source.observed,
            grade: yes.grade,
            until: Some(until),
            importance: source.importance,
            cause: Cause::Quiet,
            numbers: yes.numbers,
        };
        self.admission.demand += yes.demand.saturating_sub(source.demand);
        source.demand = source.demand.max(yes.demand);
        source.rest = Rest::Paused { until };
        source.planned = yes.grade;
        source.changes.push(now);
        source.told = None;
        let (group, cycle) = (source.group, self.limits().cycle);
        self.set_lowered(key, true);
        self.groups.get_mut(group).count_in_cycle(cycle, now);
        self.honesty.grant();
        decisions.wish(&wish);
    }
}

/// When a pause should begin: now, but one that ends the session not before the hour that is paid
/// anyway is nearly over.
fn begin_of(source: &Source, grade: Grade, now: Timestamp, prices: &dyn Prices) -> Timestamp {
    if grade > Grade::Off {
        return now;
    }
    let paid = prices.paid_until(source.session_since, now);
    if paid.nanos_since(now) <= nanos_of(PAID_REST) {
        return now;
    }
    Timestamp::from_nanos(paid.as_nanos().saturating_sub(nanos_of(PAID_LEAD)))
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
