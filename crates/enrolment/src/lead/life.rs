//! How a controller ends and begins: an upgrade keeps what is paused, an end brings it back.

use std::time::Duration;

use vxscope_units::Timestamp;

/// How long nobody may be there before everything that is paused is brought back.
pub const UPGRADE_MAX: Duration = Duration::from_secs(300);

/// How a controller was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Another one begins within [`UPGRADE_MAX`]: what is paused stays so, and the reaper knows.
    Upgrade,
    /// For good: what is paused is brought back as long as it takes, [`Farewell::WAIT`] at most,
    /// and what is left is the reaper's.
    Final,
}

/// A controller on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    ending: Ending,
    asked_at: Timestamp,
}

impl Farewell {
    /// The longest that an end waits for sources to be back.
    pub const WAIT: Duration = Duration::from_secs(60);

    /// Somebody asked for the end now.
    #[must_use]
    pub const fn new(ending: Ending, now: Timestamp) -> Self {
        Self {
            ending,
            asked_at: now,
        }
    }

    /// Whether everything is to be brought back first.
    #[must_use]
    pub const fn resumes(&self) -> bool {
        matches!(self.ending, Ending::Final)
    }

    /// Whether it may end now, with so many sources not as they should be.
    #[must_use]
    pub fn is_over(&self, open: usize, now: Timestamp) -> bool {
        let waited = Duration::from_nanos(now.nanos_since(self.asked_at));
        !self.resumes() || open == 0 || waited >= Self::WAIT
    }
}

/// What a controller that begins does with what is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// It goes on; bounds go on, too.
    Keeps,
    /// It brings everything back: nobody was there for so long that sensors may have forgotten.
    ResumesAll,
}

/// By the last heartbeat in the store; `None` if there is none.
#[must_use]
pub fn returns(last_beat: Option<Timestamp>, now: Timestamp) -> Return {
    // A beat of the future: the clock went back, and nobody knows for how long.
    let known = last_beat.filter(|beat| *beat <= now);
    match known {
        Some(beat) if Duration::from_nanos(now.nanos_since(beat)) <= UPGRADE_MAX => Return::Keeps,
        Some(_) | None => Return::ResumesAll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_keeps_pauses_and_a_long_absence_does_not() {
        let at = |seconds: u64| Timestamp::new(1_000 + seconds, 0);
        for (beat, now, expected) in [
            (Some(0_u64), 0_u64, Return::Keeps),
            (Some(0), 300, Return::Keeps),
            (Some(0), 301, Return::ResumesAll),
            (Some(10), 9, Return::ResumesAll),
            (None, 0, Return::ResumesAll),
        ] {
            assert_eq!(returns(beat.map(at), at(now)), expected, "{beat:?} {now}");
        }
    }

    #[test]
    fn an_end_waits_a_minute_for_those_who_come_back() {
        let at = |seconds: u64| Timestamp::new(1_000 + seconds, 0);
        let end = Farewell::new(Ending::Final, at(0));
        assert!(end.resumes() && !end.is_over(3, at(59)));
        assert!(end.is_over(0, at(1)) && end.is_over(3, at(60)));
        assert!(Farewell::new(Ending::Upgrade, at(0)).is_over(3, at(0)));
    }
}
