//! What a schedule of pauses can hide: the chance that an activity is missed, in closed form.
//!
//! Off-times are drawn evenly from `[b/2, b]`, on-times last `a`; all lengths are in one unit, and
//! hours by convention. An activity is seen once `e` of it lies without a gap in one on-time.

/// The on- and off-times of one source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Shortest off-time.
    pub off_min: f64,
    /// Longest off-time, `b`.
    pub off_max: f64,
    /// On-time between two pauses, `a`.
    pub on: f64,
}

/// What somebody does, unseen if it can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activity {
    /// How long it lasts, `d`.
    pub length: f64,
    /// How much of it in one piece is enough to see it, `e`.
    pub evidence: f64,
}

/// The chances to be missed that are printed for each source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Misses {
    /// The activity begins at any time, knowing nothing.
    pub random_start: f64,
    /// It begins with a pause.
    pub pause_start: f64,
    /// All of a beacon's contacts, which come at a fixed period.
    pub beacon: f64,
}

/// An intrusion of ten minutes that shows itself in ten seconds.
pub const INTRUSION: Activity = Activity {
    length: 10.0 / 60.0,
    evidence: 10.0 / 3_600.0,
};
/// A contact of a beacon: seen whole or not at all.
pub const CONTACT: Activity = Activity {
    length: 1.0 / 3_600.0,
    evidence: 1.0 / 3_600.0,
};
/// Hours between two contacts of the beacon that [`Schedule::misses`] knows.
pub const BEACON_PERIOD: f64 = 4.0;
/// How many contacts it makes in a day.
pub const BEACON_CONTACTS: u32 = 6;

impl Schedule {
    /// The schedule of a deadline and an on-time.
    #[must_use]
    pub fn new(off_max: f64, on: f64) -> Self {
        Self {
            off_min: off_max / 2.0,
            off_max,
            on,
        }
    }

    /// Mean of the off-time, `E[B]`.
    #[must_use]
    pub fn off_mean(&self) -> f64 {
        0.5 * (self.off_min + self.off_max)
    }

    /// Mean length of an off-time and the on-time after it.
    #[must_use]
    pub fn cycle_mean(&self) -> f64 {
        self.off_mean() + self.on
    }

    /// Share of the time that the source is off: no schedule saves more of its session-hours.
    #[must_use]
    pub fn off_share(&self) -> f64 {
        self.off_mean() / self.cycle_mean()
    }

    /// `E[max(0, B − x)]`: mean length by which an off-time exceeds `x`.
    fn off_beyond(&self, x: f64) -> f64 {
        let (low, high) = (self.off_min, self.off_max);
        if x <= low {
            self.off_mean() - x
        } else if x >= high {
            0.0
        } else {
            (high - x).powi(2) / (2.0 * (high - low))
        }
    }

    /// `P(B > x)`.
    fn off_longer(&self, x: f64) -> f64 {
        let (low, high) = (self.off_min, self.off_max);
        if x < low {
            1.0
        } else if x >= high {
            0.0
        } else {
            (high - x) / (high - low)
        }
    }

    /// The chance that an activity that begins at any time is missed:
    /// `E[max(0, B + 2e − d)] / (E[A] + E[B])`, 1 if it is shorter than its own evidence or no
    /// on-time holds that much.
    #[must_use]
    pub fn missed_at_random(&self, activity: Activity) -> f64 {
        if self.never_seen(activity) {
            return 1.0;
        }
        let beyond = self.off_beyond(activity.length - 2.0 * activity.evidence);
        (beyond / self.cycle_mean()).min(1.0)
    }

    /// The chance that an activity that begins with a pause is missed: `P(B > d − e)`.
    #[must_use]
    pub fn missed_at_pause_start(&self, activity: Activity) -> f64 {
        if self.never_seen(activity) {
            return 1.0;
        }
        self.off_longer(activity.length - activity.evidence)
    }

    /// Whether the activity, its gaps shorter than `a`, is seen for certain: `d ≥ b + 2e`.
    #[must_use]
    pub fn certainly_seen(&self, activity: Activity) -> bool {
        !self.never_seen(activity) && activity.length >= self.off_max + 2.0 * activity.evidence
    }

    fn never_seen(&self, activity: Activity) -> bool {
        activity.length < activity.evidence || self.on < activity.evidence
    }

    /// The chance that all of `contacts` are missed, which come every `period` from a random start.
    ///
    /// Exact up to the width of a cell: the distribution over (on or off, time left) is carried
    /// from contact to contact, and what was on at a contact is struck out.
    #[must_use]
    pub fn missed_beacon(&self, contact: Activity, period: f64, contacts: u32) -> f64 {
        if self.never_seen(contact) {
            return 1.0;
        }
        // A contact is missed within the off-time widened by this; the on-time shrinks as much.
        let widened = 2.0 * contact.evidence - contact.length;
        let blind = Self {
            off_min: (self.off_min + widened).max(0.0),
            off_max: (self.off_max + widened).max(0.0),
            on: (self.on - widened).max(0.0),
        };
        if blind.off_max <= 0.0 {
            return 0.0;
        }
        let mut phases = Phases::stationary(&blind, period);
        for contact in 0..contacts {
            if contact > 0 {
                phases.advance(period);
            }
            phases.strike_on();
        }
        phases.mass()
    }

    /// The three numbers of this schedule for [`INTRUSION`] and a beacon of [`CONTACT`]s.
    #[must_use]
    pub fn misses(&self) -> Misses {
        Misses {
            random_start: self.missed_at_random(INTRUSION),
            pause_start: self.missed_at_pause_start(INTRUSION),
            beacon: self.missed_beacon(CONTACT, BEACON_PERIOD, BEACON_CONTACTS),
        }
    }
}

/// How many cells the longest off-time has: 1/500 of it is the error of a beacon's chance.
const CELLS: usize = 500;
/// Cells of a period at most: off-times far shorter than it are resolved less finely.
const STEPS_MAX: f64 = 20_000.0;

/// A distribution over the phases of a schedule: time left of an on- or of an off-time, in cells.
struct Phases {
    cell: f64,
    on: Vec<f64>,
    off: Vec<f64>,
    /// Weight of an off-time of so many cells.
    lengths: Vec<f64>,
}

impl Phases {
    /// The phases met by somebody who comes at any time.
    fn stationary(schedule: &Schedule, period: f64) -> Self {
        // The period is a whole number of cells, so that the grid never drifts.
        let fine = period / (schedule.off_max / CELLS as f64);
        let steps = fine.ceil().clamp(1.0, STEPS_MAX);
        let cell = period / steps;
        let cells = |length: f64| whole(length / cell);
        let low = cells(schedule.off_min).max(1);
        let high = cells(schedule.off_max).max(low);
        let mut lengths = vec![0.0; high + 1];
        let share = 1.0 / (high - low + 1) as f64;
        for weight in lengths.iter_mut().skip(low) {
            *weight = share;
        }
        let off = (0..high)
            .map(|left| lengths.iter().skip(left + 1).sum())
            .collect();
        let on = vec![1.0; cells(schedule.on)];
        let mut phases = Self {
            cell,
            on,
            off,
            lengths,
        };
        let all = phases.mass();
        phases.on.iter_mut().for_each(|mass| *mass /= all);
        phases.off.iter_mut().for_each(|mass| *mass /= all);
        phases
    }

    fn mass(&self) -> f64 {
        self.on.iter().sum::<f64>() + self.off.iter().sum::<f64>()
    }

    fn strike_on(&mut self) {
        self.on.fill(0.0);
    }

    fn advance(&mut self, time: f64) {
        for _ in 0..whole(time / self.cell) {
            self.step();
        }
    }

    /// One cell of time: what has none left begins the other phase.
    fn step(&mut self) {
        let on_ends = shift(&mut self.on);
        let off_ends = shift(&mut self.off);
        if on_ends > 0.0 {
            let ends = self.lengths.iter().skip(1);
            for (off, weight) in self.off.iter_mut().zip(ends) {
                *off += on_ends * weight;
            }
        }
        match self.on.last_mut() {
            Some(longest) => *longest += off_ends,
            None => self.off.iter_mut().take(1).for_each(|one| *one += off_ends),
        }
    }
}

/// Moves every cell one down and returns what fell out.
fn shift(cells: &mut [f64]) -> f64 {
    let Some(first) = cells.first().copied() else {
        return 0.0;
    };
    cells.rotate_left(1);
    if let Some(last) = cells.last_mut() {
        *last = 0.0;
    }
    first
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a small count of cells, and a float cast saturates"
)]
fn whole(value: f64) -> usize {
    value.round().max(0.0) as usize
}

#[cfg(test)]
mod tests;
