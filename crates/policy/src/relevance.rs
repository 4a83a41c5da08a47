//! What a source has shown that a grade would hide and nobody else would show, and the rule that
//! decides from it: lower iff λ_U · b ≤ ε.

use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::policy::Policy;
use crate::source::Source;
use crate::window::{Comparable, plus};
use crate::{Hindrance, Numbers};

/// Members of a group that are asked for its baseline, the oldest ones.
const BASELINE_MEMBERS: usize = 32;
/// Members that make a baseline.
const BASELINE_MIN: usize = 2;

/// One source, as far as the rule asks.
pub(crate) struct Relevance<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) source: &'a Source,
    pub(crate) now: Timestamp,
}

impl Relevance<'_> {
    /// Whether a source that is hidden has turned out to be clearly more relevant than it may be.
    pub(crate) fn forbids(&self, grade: Grade) -> bool {
        let terms = &self.source.terms;
        let Some(blind_max) = terms.blind_max_of(grade) else {
            return false;
        };
        let numbers = self.evidence(grade, blind_max);
        let margin = 1.0 + self.policy.rules.limits.hysteresis;
        numbers.rate_upper * hours_of(blind_max) > terms.tolerance * margin
    }

    /// The rule: `None` if at most ε relevant events are to be expected in a pause, even if they
    /// come as often as the 95 % bound. A source that failed must promise less to pass again.
    pub(crate) fn hindrance(&self, numbers: &Numbers) -> Option<Hindrance> {
        let margin = if self.source.failed {
            1.0 - self.policy.rules.limits.hysteresis
        } else {
            1.0
        };
        let expected = numbers.rate_upper * numbers.blind_max;
        if expected <= numbers.tolerance * margin {
            return None;
        }
        // Would the rule hold if there had been no event at all?
        let least = self.policy.uppers.of(0) / numbers.hours * numbers.blind_max;
        if numbers.hours > 0.0 && least <= numbers.tolerance {
            Some(Hindrance::Relevant)
        } else {
            Some(Hindrance::Hours)
        }
    }

    /// Events, hours and the bound of their rate in the worst part of the day that a pause from
    /// now on would touch.
    pub(crate) fn evidence(&self, grade: Grade, blind_max: Duration) -> Numbers {
        let hides = |class: EvidenceClass| !grade.shows(class);
        let shared = self.shared_events(grade);
        let touched = self.policy.parts.touched(self.now, blind_max);
        let mut worst = Numbers::NONE;
        for part in (0..u32::BITS as usize).filter(|part| touched & (1 << part) != 0) {
            let own = self.source.window.comparable(part, hides);
            let group = self.baseline(part, hides);
            let hours = own.hours + group.hours;
            let events = (own.events.saturating_add(group.events)).saturating_add(shared);
            let rate_upper = if hours > 0.0 {
                self.policy.uppers.of(events) / hours
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
    fn shared_events(&self, grade: Grade) -> u32 {
        let mut events = 0_u32;
        for edge in self.source.edges.iter().filter(|edge| edge.has_events()) {
            for class in EvidenceClass::ALL {
                let count = u32::from(edge.events[class.index()]);
                let is_hidden = !grade.shows(class);
                if count > 0 && is_hidden && !self.policy.shows_edge(edge, class, self.now) {
                    events = events.saturating_add(count);
                }
            }
        }
        events
    }

    /// What the average established member of the group adds to a source that is too young to
    /// speak for itself.
    fn baseline(&self, part: usize, hides: impl Fn(EvidenceClass) -> bool + Copy) -> Comparable {
        if self.now >= plus(self.source.enrolled, self.policy.rules.limits.new_pin) {
            return Comparable::default();
        }
        let (mut hours, mut events, mut members) = (0.0, 0_u32, 0_u32);
        for member in self.policy.established(self.source.group, self.now) {
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
}

fn hours_of(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3_600.0
}

impl Policy {
    /// The oldest members of a group, as far as they are no longer new.
    fn established(&self, group: u32, now: Timestamp) -> impl Iterator<Item = &Source> {
        let new_pin = self.rules.limits.new_pin;
        let members = self.groups.get(group).members.iter();
        members
            .take(BASELINE_MEMBERS)
            .map(|member| &self.sources[member.index()])
            .filter(move |member| now >= plus(member.enrolled, new_pin))
    }

    /// Whether the group has members that have shown what is usual.
    pub(crate) fn has_baseline(&self, group: u32, now: Timestamp) -> bool {
        self.established(group, now).take(BASELINE_MIN).count() == BASELINE_MIN
    }
}
