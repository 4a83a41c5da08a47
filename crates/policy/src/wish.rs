//! What the policy wants of one source's mirror, and why, in numbers.

use vxscope_units::{Grade, Timestamp};

use crate::{Importance, Usd};

/// A source as the policy knows it: a dense row, given when the source is enrolled, and given to
/// another one only after it was retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(u32);

impl SourceKey {
    /// From a row number.
    #[must_use]
    pub const fn new(row: u32) -> Self {
        Self(row)
    }

    /// The row number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The row as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One wish: the grade that a source should have from now on.
///
/// A wish below [`Grade::Full`] always carries the moment at which the policy will want the source
/// back; whoever grants it may bring the source back earlier, never later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// Whose mirror.
    pub source: SourceKey,
    /// When it was wished.
    pub at: Timestamp,
    /// The grade the source really had, as far as control has told.
    pub from: Grade,
    /// The grade it should have.
    pub grade: Grade,
    /// For a grade below full: when it ends at the latest.
    pub until: Option<Timestamp>,
    /// What the source is worth by the rules.
    pub importance: Importance,
    /// Why.
    pub cause: Cause,
    /// The numbers behind `cause`.
    pub numbers: Numbers,
}

impl Wish {
    /// Whether it asks for less than the source has.
    #[must_use]
    pub fn lowers(&self) -> bool {
        self.grade < self.from
    }
}

/// What a decision was made from. Rates are by the hour, times in hours; a number that played no
/// part is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Relevant events in `hours` that the grade would hide and that nobody else would show.
    pub events: u32,
    /// Mirrored, loss-free hours of comparable parts of the day.
    pub hours: f64,
    /// Exact Poisson 95 % upper bound of the rate of such events; infinite without any hour.
    pub rate_upper: f64,
    /// The longest blind time `b` of the classes that the grade hides.
    pub blind_max: f64,
    /// Tolerated expectation ε of unseen events in one pause.
    pub tolerance: f64,
    /// Net saving of the pause under the worst selected billing model.
    pub saving: Usd,
    /// Share of the source's recent edges that others still show, 0 to 1.
    pub residual: f64,
    /// The probability with which a pause was refused at random.
    pub refusal: f64,
}

impl Numbers {
    /// No number played a part.
    pub const NONE: Self = Self {
        events: 0,
        hours: 0.0,
        rate_upper: 0.0,
        blind_max: 0.0,
        tolerance: 0.0,
        saving: Usd::ZERO,
        residual: 0.0,
        refusal: 0.0,
    };
}

vxscope_units::reasons! {
    /// Why the policy wishes a grade, or does not.
    pub enum Cause {
        /// Lowered: nothing relevant is expected to be missed, and it pays.
        Quiet = "quiet",
        /// Raised: its time below is over.
        Deadline = "deadline",
        /// Raised: another source saw it do something relevant.
        PeerSighting = "peer_sighting",
        /// Raised: a detector named it.
        Alert = "alert",
        /// Raised: it used a port that its role should never use.
        NeverHit = "never_hit",
        /// Raised: something about it was changed in the configuration.
        ConfigChanged = "config_changed",
        /// Raised: its own traffic counters moved while nothing was mirrored.
        CountersMoved = "counters_moved",
        /// Raised: it shows too much to be lowered.
        Relevant = "relevant",
        /// Raised: an edge of it would have two blind ends.
        Residual = "residual",
        /// Raised: somebody pinned it.
        Pinned = "pinned",
        /// Raised: the rules no longer allow the grade.
        Rules = "rules",
        /// Raised: mirrors are managed by hand, or the operator asked so.
        Manual = "manual",
        /// Raised: it is lower than anybody wished.
        Unplanned = "unplanned",
    }
}

vxscope_units::reasons! {
    /// Why a source is not lowered now.
    pub enum Hindrance {
        /// Mirrors are managed by hand.
        Manual = "manual",
        /// The operator holds all pauses.
        Held = "held",
        /// Its floor is full.
        Floor = "floor",
        /// It is not at full, or not yet known to be.
        Settling = "settling",
        /// A pin keeps it up: it is new, had an alert, or somebody asked.
        Pinned = "pinned",
        /// Alerts pin so many sources that pausing has stopped.
        PinBudget = "pin_budget",
        /// Its on-time is not over.
        OnTime = "on_time",
        /// The hour that is paid already is not over.
        PaidHour = "paid_hour",
        /// Its sensor has not reported, or too much was lost.
        Unavailable = "unavailable",
        /// Nothing came, and nobody has confirmed that nothing was sent.
        Silent = "silent",
        /// Only one direction is seen.
        OneWay = "one_way",
        /// It was changed too often today.
        Changes = "changes",
        /// As many of its group are lowered as may be.
        GroupShare = "group_share",
        /// As many of its group were lowered in this cycle as may be.
        GroupCycle = "group_cycle",
        /// Too few comparable hours were watched to tell.
        Hours = "hours",
        /// It shows too much.
        Relevant = "relevant",
        /// Somebody it speaks with is hidden too.
        Residual = "residual",
        /// It would not pay.
        Saving = "saving",
        /// Control could not bring everybody back in time.
        Admission = "admission",
        /// Refused at random, so that what pauses hide can be estimated.
        Honesty = "honesty",
    }
}

/// A source that was considered and stays as it is; told when the reason is another than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Whose mirror.
    pub source: SourceKey,
    /// When it was considered.
    pub at: Timestamp,
    /// The cheapest grade that came closest; full if none was considered.
    pub grade: Grade,
    /// What the source is worth by the rules.
    pub importance: Importance,
    /// Why not.
    pub hindrance: Hindrance,
    /// The numbers behind it.
    pub numbers: Numbers,
}

/// Who takes decisions as they are made.
pub trait Decisions {
    /// A grade that a source should have from now on.
    fn wish(&mut self, wish: &Wish);

    /// A source that stays at full, when the reason has changed. Most takers do not care.
    fn kept(&mut self, _kept: &Kept) {}
}

impl<F: FnMut(&Wish)> Decisions for F {
    fn wish(&mut self, wish: &Wish) {
        self(wish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_lowers_if_it_asks_for_less_than_there_is() {
        let wish = |from, grade| Wish {
            source: SourceKey::new(0),
            at: Timestamp::ZERO,
            from,
            grade,
            until: None,
            importance: Importance::Standard,
            cause: Cause::Quiet,
            numbers: Numbers::default(),
        };
        assert!(wish(Grade::Full, Grade::Off).lowers());
        assert!(!wish(Grade::Off, Grade::Full).lowers());
        assert!(!wish(Grade::Sentinel, Grade::Sentinel).lowers());
    }
}
