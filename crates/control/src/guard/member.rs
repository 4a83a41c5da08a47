//! The gate's book of one source.

use std::collections::VecDeque;
use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade};

use super::rules::{Bounds, hidden, lowest_that_shows};
use super::verdict::{Force, Pin};

/// The day of [`super::Rules::changes_per_day`].
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Whether a class of evidence is visible, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Seen {
        since: Duration,
    },
    /// By a grade that was granted: from the moment at which it may have become hidden to the
    /// moment at which it is known to be visible again.
    Hidden {
        since: Duration,
    },
    /// Nobody decided so: the source is new, or its session is not as it should be.
    Unseen {
        since: Duration,
    },
}

impl Sight {
    /// Since when it cannot be seen.
    fn blind_since(self) -> Option<Duration> {
        match self {
            Self::Seen { .. } => None,
            Self::Hidden { since } | Self::Unseen { since } => Some(since),
        }
    }
}

/// One source. All times are those of the gate's own clock.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) bounds: Bounds,
    pub(crate) group: u32,
    /// What the source may have; what it has follows.
    pub(crate) granted: Grade,
    sight: [Sight; EvidenceClass::COUNT],
    /// Until when it is pinned, by [`Pin`].
    pins: [Option<Duration>; Pin::COUNT],
    /// When it was changed, the last day's.
    changes: VecDeque<Duration>,
    /// Called back: full until it was seen at full.
    pub(crate) recalled: bool,
    /// Its part of the steady demand, and until when if it is full.
    pub(crate) demand: u64,
    pub(crate) demand_until: Option<Duration>,
    /// The longest that a class was hidden beyond its bound.
    pub(crate) overrun: Duration,
}

impl Member {
    pub(crate) fn new(bounds: Bounds, group: u32, now: Duration) -> Self {
        Self {
            bounds,
            group,
            granted: Grade::Full,
            sight: [Sight::Unseen { since: now }; EvidenceClass::COUNT],
            pins: [None; Pin::COUNT],
            changes: VecDeque::new(),
            recalled: false,
            demand: 0,
            demand_until: None,
            overrun: Duration::ZERO,
        }
    }

    pub(crate) fn sight(&self, class: EvidenceClass) -> Sight {
        self.sight[class.index()]
    }

    /// Below full, or not known to be there yet.
    pub(crate) fn is_lowered(&self) -> bool {
        self.granted < Grade::Full || self.sight.iter().any(|one| one.blind_since().is_some())
    }

    /// How long a class has been hidden; 0 if it is visible.
    pub(crate) fn blind(&self, class: EvidenceClass, now: Duration) -> Duration {
        let since = self.sight(class).blind_since();
        since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// The longest that any class has been hidden.
    pub(crate) fn blind_longest(&self, now: Duration) -> Duration {
        let blind = EvidenceClass::ALL.map(|class| self.blind(class, now));
        blind.into_iter().max().unwrap_or_default()
    }

    /// How long a class has been hidden beyond its bound.
    pub(crate) fn overrun(&self, class: EvidenceClass, now: Duration) -> Duration {
        match self.sight(class) {
            Sight::Hidden { since } => now
                .saturating_sub(since)
                .saturating_sub(self.bounds.of(class)),
            Sight::Seen { .. } | Sight::Unseen { .. } => Duration::ZERO,
        }
    }

    /// When the first of its hidden classes must be visible again.
    pub(crate) fn due(&self) -> Option<Duration> {
        let due = |class| match self.sight(class) {
            Sight::Hidden { since } if !self.granted.shows(class) => {
                Some(since.saturating_add(self.bounds.of(class)))
            }
            Sight::Hidden { .. } | Sight::Unseen { .. } | Sight::Seen { .. } => None,
        };
        EvidenceClass::ALL.into_iter().filter_map(due).min()
    }

    /// The lowest grade that it must have now, and why.
    pub(crate) fn required(&self, now: Duration, off_is_safe: bool) -> (Grade, Force) {
        let deadlines = EvidenceClass::ALL.into_iter().filter_map(|class| {
            let due = !self.granted.shows(class) && self.blind(class, now) >= self.bounds.of(class);
            due.then(|| (lowest_that_shows(class), Force::Deadline))
        });
        let demands = [
            (self.bounds.floor, Force::Floor, true),
            (Grade::Sentinel, Force::Unsafe, !off_is_safe),
            (Grade::Full, Force::Pinned, self.is_pinned(now)),
            (Grade::Full, Force::Recalled, self.recalled),
        ];
        let demands = demands
            .into_iter()
            .filter_map(|(grade, why, holds)| holds.then_some((grade, why)));
        // Of equal grades the last one is told.
        demands
            .chain(deadlines)
            .max_by_key(|(grade, _)| *grade)
            .unwrap_or((Grade::Full, Force::Floor))
    }

    /// Hides what the grade does not show.
    pub(crate) fn hide(&mut self, grade: Grade, now: Duration) {
        for class in hidden(grade) {
            let sight = &mut self.sight[class.index()];
            if matches!(sight, Sight::Seen { .. } | Sight::Unseen { .. }) {
                *sight = Sight::Hidden { since: now };
            }
        }
    }

    /// Whether the books already say what `show` would make them say.
    pub(crate) fn is_seen_at(&self, grade: Grade) -> bool {
        EvidenceClass::ALL.into_iter().all(|class| {
            let seen = self.sight(class).blind_since().is_none();
            seen == (grade.shows(class) && self.granted.shows(class))
        })
    }

    /// The source is known to be at this grade.
    pub(crate) fn show(&mut self, grade: Grade, now: Duration) {
        for class in EvidenceClass::ALL {
            self.overrun = self.overrun.max(self.overrun(class, now));
            let sight = &mut self.sight[class.index()];
            // What may be hidden any moment is not visible.
            let visible = grade.shows(class) && self.granted.shows(class);
            match sight {
                Sight::Seen { .. } if !visible => *sight = Sight::Unseen { since: now },
                Sight::Hidden { .. } | Sight::Unseen { .. } if visible => {
                    *sight = Sight::Seen { since: now };
                }
                Sight::Seen { .. } | Sight::Hidden { .. } | Sight::Unseen { .. } => {}
            }
        }
        if !self.is_lowered() {
            self.recalled = false;
        }
    }

    /// What was hidden before the gate began: since when.
    pub(crate) fn restore(&mut self, grade: Grade, since: &[Option<Duration>], now: Duration) {
        self.granted = grade;
        for (sight, since) in self.sight.iter_mut().zip(since) {
            if let Some(since) = since {
                *sight = Sight::Hidden { since: *since };
            }
        }
        self.hide(grade, now);
    }

    pub(crate) fn pin(&mut self, pin: Pin, until: Duration) {
        let place = &mut self.pins[pin.index()];
        *place = (*place).max(Some(until));
    }

    pub(crate) fn unpin(&mut self, pin: Pin) {
        self.pins[pin.index()] = None;
    }

    pub(crate) fn pinned_until(&self, pin: Pin) -> Option<Duration> {
        self.pins[pin.index()]
    }

    pub(crate) fn is_pinned(&self, now: Duration) -> bool {
        self.pins.iter().flatten().any(|until| *until > now)
    }

    /// Changes left of the day's.
    pub(crate) fn changes_left(&mut self, per_day: u32, now: Duration) -> u32 {
        while self
            .changes
            .front()
            .is_some_and(|at| at.saturating_add(DAY) <= now)
        {
            self.changes.pop_front();
        }
        per_day.saturating_sub(u32::try_from(self.changes.len()).unwrap_or(u32::MAX))
    }

    /// Notes a change; those beyond `per_day` were made before the gate began, and the oldest of
    /// them is forgotten.
    pub(crate) fn note_change(&mut self, per_day: u32, at: Duration) {
        self.changes.push_back(at);
        if self.changes.len() > per_day as usize {
            self.changes.pop_front();
        }
    }
}
