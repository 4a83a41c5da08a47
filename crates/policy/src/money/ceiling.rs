//! The most that pausing can save: the share of the bill that may be paused, times the share of
//! time that it may be off.

use std::fmt;

use serde::Serialize;

use super::Usd;

/// A limit on what a fleet can save, to be printed beside any goal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ceiling {
    /// What always-full mirrors cost.
    pub always_full: Usd,
    /// What of that can be saved at most.
    pub savable: Usd,
}

impl Ceiling {
    /// A source adds `always_full`; if it may be paused, `off` of every `on + off` seconds of it
    /// can be saved (`b/(a+b)`).
    pub fn add(&mut self, always_full: Usd, pausable: Option<(u64, u64)>) {
        self.always_full += always_full;
        if let Some((on, off)) = pausable {
            self.savable += always_full.times(u128::from(off), u128::from(on) + u128::from(off));
        }
    }

    /// The savable share in 1,000.
    #[must_use]
    pub fn permille(&self) -> u64 {
        let (part, whole) = (self.savable.nanos().max(0), self.always_full.nanos().max(1));
        let exact = i128::from(part) * 1_000 / i128::from(whole);
        u64::try_from(exact).unwrap_or(1_000)
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permille = self.permille();
        write!(
            f,
            "at most {}.{} % of {} can be saved",
            permille / 10,
            permille % 10,
            self.always_full
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_the_pausable_share_times_the_share_of_time() {
        let mut ceiling = Ceiling::default();
        let ten = Usd::from_dollars(10.0);
        ceiling.add(ten, Some((3_600, 14_400)));
        ceiling.add(ten, None);
        assert_eq!(ceiling.savable, Usd::from_dollars(8.0));
        assert_eq!(
            ceiling.to_string(),
            "at most 40.0 % of $20.0000 can be saved"
        );
        assert_eq!(Ceiling::default().permille(), 0);
    }
}
