//! Which attacks a timeline shows.

use crate::attack::{Attack, Kind, Sight, sight};
use crate::bound::Bounds;
use crate::fleet::Fleet;
use crate::timeline::Timeline;

/// So many, and so many of them seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// All.
    pub total: u64,
    /// Seen.
    pub seen: u64,
}

impl Seen {
    /// Counts one more.
    pub fn count(&mut self, seen: bool) {
        self.total += 1;
        self.seen += u64::from(seen);
    }

    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            seen: self.seen + other.seen,
        }
    }

    /// Share seen; 0 of none.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.seen as f64 / self.total as f64
        }
    }
}

/// What a timeline shows of a list of attacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// L1: any packet.
    pub packet: Seen,
    /// L2: the start of a flow.
    pub flow_start: Seen,
    /// L3, the headline: enough for a detector.
    pub evidence: Seen,
    /// L3 of those that must be seen.
    pub certain: Seen,
    /// Of these, those on sources that may be blind at all.
    pub certain_pausable: Seen,
    /// L3 of those with signs beforehand that need not be seen.
    pub short_prepared: Seen,
    /// L3 of those without that need not be seen.
    pub short_unprepared: Seen,
    /// L3 by [`Kind`].
    pub kinds: [Seen; Kind::ALL.len()],
}

impl Score {
    /// Of every attack.
    #[must_use]
    pub fn of<'a>(
        fleet: &Fleet,
        timeline: &Timeline,
        bounds: &Bounds,
        attacks: impl IntoIterator<Item = &'a Attack>,
    ) -> Self {
        let mut score = Self::default();
        for attack in attacks {
            let certain = bounds.certain_attack(fleet, attack);
            let sight = sight(attack, timeline);
            score.count(attack, sight, certain);
            if certain && bounds.may_be_blind(fleet, attack) {
                score.certain_pausable.count(sight.evidence);
            }
        }
        score
    }

    fn count(&mut self, attack: &Attack, sight: Sight, certain: bool) {
        self.packet.count(sight.packet);
        self.flow_start.count(sight.flow_start);
        self.evidence.count(sight.evidence);
        self.kinds[attack.kind as usize].count(sight.evidence);
        let part = match (certain, attack.precursors) {
            (true, _) => &mut self.certain,
            (false, true) => &mut self.short_prepared,
            (false, false) => &mut self.short_unprepared,
        };
        part.count(sight.evidence);
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            packet: self.packet.plus(other.packet),
            flow_start: self.flow_start.plus(other.flow_start),
            evidence: self.evidence.plus(other.evidence),
            certain: self.certain.plus(other.certain),
            certain_pausable: self.certain_pausable.plus(other.certain_pausable),
            short_prepared: self.short_prepared.plus(other.short_prepared),
            short_unprepared: self.short_unprepared.plus(other.short_unprepared),
            kinds: std::array::from_fn(|kind| self.kinds[kind].plus(other.kinds[kind])),
        }
    }
}
