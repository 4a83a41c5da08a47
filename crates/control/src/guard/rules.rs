//! What the gate holds everybody to.

use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade};

/// Added to every bound: the time an API call may take to have its effect (law of bounded
/// blindness: at most b + M while the API takes changes).
pub const MARGIN: Duration = Duration::from_secs(120);

/// How far one source may be lowered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest grade.
    pub floor: Grade,
    /// The longest blind time b of each [`EvidenceClass`], by its index; 0 never hides it.
    pub blind: [Duration; EvidenceClass::COUNT],
    /// How long a class is visible before it is hidden again: a.
    pub on_time: Duration,
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

impl Bounds {
    /// Never lowered.
    pub const CRITICAL: Self = Self {
        floor: Grade::Full,
        blind: [Duration::ZERO; EvidenceClass::COUNT],
        on_time: minutes(60),
    };
    /// An hour without flows, two without payload, never without sentinel.
    pub const STANDARD: Self = Self::new(Grade::Sentinel, minutes(60), minutes(120), minutes(60));
    /// Four hours without anything.
    pub const LOW: Self = Self::new(Grade::Off, minutes(240), minutes(240), minutes(60));

    /// A bound for payload, and one for all other evidence.
    #[must_use]
    pub const fn new(floor: Grade, flow: Duration, payload: Duration, on_time: Duration) -> Self {
        let mut blind = [flow; EvidenceClass::COUNT];
        blind[EvidenceClass::Payload.index()] = payload;
        Self {
            floor,
            blind,
            on_time,
        }
    }

    /// The longest blind time of a class.
    #[must_use]
    pub const fn of(&self, class: EvidenceClass) -> Duration {
        self.blind[class.index()]
    }

    /// The shortest bound of what a grade hides; `None` if it hides nothing.
    #[must_use]
    pub fn shortest(&self, grade: Grade) -> Option<Duration> {
        hidden(grade).map(|class| self.of(class)).min()
    }
}

/// The classes that a grade does not show.
pub(crate) fn hidden(grade: Grade) -> impl Iterator<Item = EvidenceClass> {
    EvidenceClass::ALL
        .into_iter()
        .filter(move |class| !grade.shows(*class))
}

/// The lowest grade that shows a class.
pub(crate) fn lowest_that_shows(class: EvidenceClass) -> Grade {
    Grade::ALL
        .into_iter()
        .find(|grade| grade.shows(class))
        .unwrap_or(Grade::Full)
}

/// What holds for all sources together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The cycle of [`Rules::cycle_percent`].
    pub cycle: Duration,
    /// Percent of a group that is lowered in one cycle at most, but one source always may.
    /// Beyond: refused as `group_cycle`.
    pub cycle_percent: u32,
    /// Percent of a group that is below full at once at most, rounded down: a group of one never
    /// is. Beyond: refused as `group_share`.
    pub group_percent: u32,
    /// Changes of one source in a day, up and down. A source is only lowered while two are left,
    /// and the last one leads to full; beyond: refused as `changes`.
    pub changes_per_day: u32,
    /// Sources pinned by alerts at once. A pin beyond is taken all the same; then nothing is
    /// lowered any more: refused as `pin_budget`.
    pub pins_max: u32,
    /// Changes that the API takes in a second, in thousandths: our share of the account's.
    pub rate_milli: u64,
    /// Changes that the API takes at once.
    pub burst: u32,
    /// Sources the gate keeps books of. One beyond is not enrolled, so it stays full.
    pub sources_max: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            cycle: minutes(1),
            cycle_percent: 10,
            group_percent: 50,
            changes_per_day: 24,
            pins_max: 100,
            rate_milli: 2_500,
            burst: 25,
            sources_max: 10_000,
        }
    }
}

/// A resume backlog that the API's rate must be able to work off.
const BACKLOG: Duration = minutes(15);

impl Rules {
    /// Sources of a group of this size that may be below full at once.
    #[must_use]
    pub fn group_lowered_max(&self, size: u32) -> u32 {
        share(size, self.group_percent)
    }

    /// Sources of a group of this size that may be lowered in one cycle.
    #[must_use]
    pub fn cycle_lowered_max(&self, size: u32) -> u32 {
        share(size, self.cycle_percent).max(1)
    }

    /// Sources that may be below full at once: what the API brings back in 15 minutes.
    #[must_use]
    pub fn lowered_max(&self) -> u64 {
        let drained = self.rate_milli.saturating_mul(BACKLOG.as_secs()) / 1_000;
        u64::from(self.burst).saturating_add(drained)
    }

    /// Steady demand of resumes that is admitted, in 10⁻⁹ a second: 0.7 of the rate.
    #[must_use]
    pub fn demand_max(&self) -> u64 {
        self.rate_milli.saturating_mul(700_000)
    }
}

fn share(size: u32, percent: u32) -> u32 {
    let sources = u64::from(size) * u64::from(percent.min(100)) / 100;
    u32::try_from(sources).unwrap_or(u32::MAX)
}

/// Resumes a second, in 10⁻⁹, of a source that is off for `blind` and on for `on_time`.
pub(crate) fn demand(blind: Duration, on_time: Duration) -> u64 {
    let period = blind.saturating_add(on_time).as_millis().max(1);
    u64::try_from(1_000_000_000_000_u128.div_ceil(period)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_is_as_the_formulas_say() {
        let rules = Rules::default();
        assert_eq!(rules.lowered_max(), 2_275);
        assert_eq!(rules.demand_max(), 1_750_000_000);
        assert_eq!(demand(minutes(60), minutes(60)), 138_889);
    }

    #[test]
    fn small_groups_lose_one_at_a_time_and_never_the_last() {
        let rules = Rules::default();
        let sizes = [0, 1, 2, 3, 4, 10, 30];
        assert_eq!(
            sizes.map(|size| rules.group_lowered_max(size)),
            [0, 0, 1, 1, 2, 5, 15]
        );
        assert_eq!(
            sizes.map(|size| rules.cycle_lowered_max(size)),
            [1, 1, 1, 1, 1, 1, 3]
        );
    }

    #[test]
    fn the_lowest_grade_that_shows_a_class_hides_the_next() {
        let expected = [
            Grade::Full,
            Grade::Truncated,
            Grade::Essential,
            Grade::Sentinel,
        ];
        assert_eq!(EvidenceClass::ALL.map(lowest_that_shows), expected);
        assert_eq!(
            Bounds::STANDARD.shortest(Grade::Truncated),
            Some(minutes(120))
        );
        assert_eq!(Bounds::STANDARD.shortest(Grade::Off), Some(minutes(60)));
        assert_eq!(Bounds::STANDARD.shortest(Grade::Full), None);
    }
}
