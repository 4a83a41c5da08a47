//! What the user allows: importance, floors, deadlines, groups, pins, caps. A value of [`Rules`]
//! cannot be wrong; text becomes one through [`RawRules`], or a list of everything wrong with it.

mod check;
mod raw;
mod select;

pub(crate) use check::DAY_PARTS_MAX;
pub use check::{RuleError, RuleErrors};
pub use raw::{RawAssign, RawImportance, RawImportances, RawLimits, RawMinutes, RawPin, RawRules};
pub(crate) use select::neighbourhood;
pub use select::{Cidr, Selector, SourceFacts};

use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade};

use crate::Importance;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Who decides about mirrors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nobody but the operator: everything is mirrored in full.
    #[default]
    Manual,
    /// Decisions are made and shown, mirrors stay on.
    Shadow,
    /// Decisions are carried out.
    Dynamic,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Shadow, Self::Dynamic];

    /// The name in configuration and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Shadow => "shadow",
            Self::Dynamic => "dynamic",
        }
    }
}

/// What an importance allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// No grade below this one.
    pub floor: Grade,
    /// Whether [`Grade::Off`] is allowed although the floor is higher.
    pub allow_off: bool,
    /// Longest time `b` for which a class of evidence may be hidden, by [`EvidenceClass::index`].
    pub blind_max: [Duration; EvidenceClass::COUNT],
    /// Least on-time `a` between two pauses.
    pub on_min: Duration,
    /// ε: how many relevant events may be expected to go unseen in one pause, at the bound.
    pub tolerance: f64,
    /// Share of a group that may be lowered at once; a group obeys its strictest member.
    pub group_lowered_max: f64,
}

impl Terms {
    /// The defaults of an importance.
    #[must_use]
    pub fn of(importance: Importance) -> Self {
        let minutes = |payload: u64, other: u64| {
            EvidenceClass::ALL.map(|class| {
                let minutes = if class == EvidenceClass::Payload {
                    payload
                } else {
                    other
                };
                Duration::from_secs(minutes * MINUTE)
            })
        };
        let terms = Self {
            floor: Grade::Full,
            allow_off: false,
            blind_max: [Duration::ZERO; EvidenceClass::COUNT],
            on_min: ON_MIN,
            tolerance: 0.0,
            group_lowered_max: 0.5,
        };
        match importance {
            Importance::Critical => terms,
            Importance::Standard => Self {
                floor: Grade::Sentinel,
                blind_max: minutes(120, 60),
                tolerance: 0.25,
                ..terms
            },
            Importance::Low => Self {
                floor: Grade::Off,
                allow_off: true,
                blind_max: minutes(240, 240),
                tolerance: 1.0,
                ..terms
            },
        }
    }

    /// The lowest grade.
    #[must_use]
    pub fn lowest(&self) -> Grade {
        if self.allow_off {
            Grade::Off
        } else {
            self.floor
        }
    }

    /// `b` of a grade: the shortest of the deadlines of the classes that it hides; `None` for full.
    #[must_use]
    pub fn blind_max_of(&self, grade: Grade) -> Option<Duration> {
        EvidenceClass::ALL
            .into_iter()
            .filter(|class| !grade.shows(*class))
            .map(|class| self.blind_max[class.index()])
            .min()
    }
}

/// The default on-time: an hour, less what creating and deleting a session takes, so that one
/// on-time fits into one paid hour.
pub const ON_MIN: Duration = Duration::from_secs(57 * MINUTE);

/// Limits of the fleet and of time. Each says what happens when it is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Sources that are known at once; more are refused and counted, and are never lowered.
    pub sources_max: u32,
    /// Share of a group lowered in one cycle, at least one; the others wait for the next.
    pub group_change_max: f64,
    /// Length of a cycle.
    pub cycle: Duration,
    /// Changes of a source in 24 hours; at the limit it stays full.
    pub changes_max: u32,
    /// Net saving below which no pause begins, in dollars.
    pub saving_min: f64,
    /// Calls a second that control may make; see [`Self::burst`].
    pub api_rate: f64,
    /// Calls that control may make at once.
    pub burst: f64,
    /// Share of `api_rate` that steady pausing may use; beyond it no further source is lowered.
    pub demand_max: f64,
    /// Time within which all lowered sources must be able to come back: at most
    /// `burst + api_rate × resume_within` are lowered.
    pub resume_within: Duration,
    /// Probability with which a pause is refused at random.
    pub refusal: f64,
    /// Availability below which nothing is concluded.
    pub availability_min: f64,
    /// How long new sources stay full.
    pub new_pin: Duration,
    /// The same, if the group has a baseline.
    pub baseline_pin: Duration,
    /// How long an alert keeps a source full.
    pub alert_pin: Duration,
    /// The same, if it is severe.
    pub severe_pin: Duration,
    /// Share of the sources that alerts may pin; beyond it pins are still granted, pausing stops.
    pub pins_max: f64,
    /// Share of opaque bulk in the bytes from which a source is not lowered below truncated.
    pub bulk_max: f64,
    /// By how much less than ε a source must promise after it has failed once.
    pub hysteresis: f64,
    /// What truncated mirrors of each packet, in bytes.
    pub packet_length: u32,
    /// Parts into which a day is cut; only equal parts are compared.
    pub day_parts: u32,
    /// When the first part begins, after midnight UTC.
    pub day_begins: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sources_max: 16_384,
            group_change_max: 0.1,
            cycle: Duration::from_secs(MINUTE),
            changes_max: 24,
            saving_min: 0.01,
            api_rate: 2.5,
            burst: 25.0,
            demand_max: 0.7,
            resume_within: Duration::from_secs(15 * MINUTE),
            refusal: 0.05,
            availability_min: 0.99,
            new_pin: Duration::from_secs(24 * HOUR),
            baseline_pin: Duration::from_secs(HOUR),
            alert_pin: Duration::from_secs(4 * HOUR),
            severe_pin: Duration::from_secs(24 * HOUR),
            pins_max: 0.2,
            bulk_max: 0.5,
            hysteresis: 0.2,
            packet_length: 512,
            day_parts: 2,
            day_begins: Duration::from_secs(7 * HOUR),
        }
    }
}

/// A standing pin: sources that stay at a grade or above.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// Which sources.
    pub selector: Selector,
    /// The least grade.
    pub grade: Grade,
}

/// An assignment of importance; the first that fits a source holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Assign {
    /// Which sources.
    pub selector: Selector,
    /// What they are worth.
    pub importance: Importance,
    /// Whether they may be switched off; `None` leaves it to their importance.
    pub allow_off: Option<bool>,
}

/// All rules, valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Who decides.
    pub mode: Mode,
    /// What each importance allows, by [`Importance::index`].
    pub terms: [Terms; Importance::COUNT],
    /// Who has which importance.
    pub assigns: Vec<Assign>,
    /// Who stays up.
    pub pins: Vec<Pin>,
    /// Limits.
    pub limits: Limits,
}

impl Default for Rules {
    /// The defaults, with mirrors managed by hand.
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            terms: Importance::ALL.map(Terms::of),
            assigns: Vec::new(),
            pins: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Rules {
    /// The importance of a source and what it allows there, pins included.
    #[must_use]
    pub fn terms_of(&self, facts: &SourceFacts<'_>) -> (Importance, Terms) {
        let assign = self.assigns.iter().find(|one| one.selector.fits(facts));
        let importance = assign.map_or(Importance::Standard, |one| one.importance);
        let mut terms = self.terms[importance.index()];
        if let Some(allow_off) = assign.and_then(|one| one.allow_off) {
            // An importance whose floor is full stays full whatever is assigned.
            terms.allow_off = allow_off && terms.floor < Grade::Full;
            if !allow_off {
                terms.floor = terms.floor.max(Grade::Sentinel);
            }
        }
        for pin in self.pins.iter().filter(|pin| pin.selector.fits(facts)) {
            terms.floor = terms.floor.max(pin.grade);
            terms.allow_off = false;
        }
        (importance, terms)
    }
}

#[cfg(test)]
mod tests;
