//! What the gate says.

use std::time::Duration;

use vxscope_units::Grade;

use crate::Row;

/// What becomes of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The grade the source may have from now on; higher than wished where a step in between
    /// would use up the day's changes.
    Granted(Grade),
    /// It stays as it is.
    Refused(Refusal),
}

vxscope_units::reasons! {
    /// Why a source is not lowered.
    pub enum Refusal {
        /// Not enrolled, so nothing is known that would allow it.
        Unknown = "unknown",
        /// Somebody holds all pausing.
        Held = "held",
        /// The source is pinned.
        Pinned = "pinned",
        /// Below the lowest grade of its importance.
        Floor = "floor",
        /// Off, without a journal or without a reaper that is alive.
        Unsafe = "unsafe",
        /// A class of evidence that may not be hidden, or that has been hidden long enough.
        Bound = "bound",
        /// A class of evidence that has not been visible long enough since it was hidden.
        OnTime = "on_time",
        /// Too many of its group are below full.
        GroupShare = "group_share",
        /// Too many of its group were lowered in this cycle.
        GroupCycle = "group_cycle",
        /// Too many changes of this source in a day.
        Changes = "changes",
        /// Alerts have pinned so many sources that nothing is lowered any more.
        PinBudget = "pin_budget",
        /// The steady demand of resumes would be more than the API takes.
        Demand = "demand",
        /// More would be below full than the API could bring back in time.
        Backlog = "backlog",
    }
}

vxscope_units::reasons! {
    /// Why a source is raised, whatever the policy says.
    pub enum Force {
        /// A class of evidence has been hidden for its bound.
        Deadline = "deadline",
        /// Somebody called everything back, or the clock went back so that nobody knows how
        /// long a source has been hidden.
        Recalled = "recalled",
        /// The source was pinned.
        Pinned = "pinned",
        /// Its floor is higher than its grade.
        Floor = "floor",
        /// Off is not safe any more.
        Unsafe = "unsafe",
        /// Its group became smaller.
        GroupShare = "group_share",
    }
}

vxscope_units::reasons! {
    /// Who pins a source.
    pub enum Pin {
        /// It is new; nobody knows yet what it does.
        New = "new",
        /// A detector named it, or it was seen doing something relevant.
        Alert = "alert",
        /// The operator.
        Operator = "operator",
    }
}

/// A raise that nobody wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Who.
    pub row: Row,
    /// What it had.
    pub from: Grade,
    /// What it has from now on.
    pub grade: Grade,
    /// Why.
    pub why: Force,
    /// How long the class that forces it has been hidden; 0 where none does.
    pub blind: Duration,
}
