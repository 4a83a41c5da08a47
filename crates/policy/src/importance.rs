//! How much a source matters, and what follows: how low it may go, and for how long.

use std::fmt;

/// How much a source matters to whoever wrote the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Importance {
    /// May be blind for hours.
    Low,
    /// May be blind for an hour at a time.
    #[default]
    Standard,
    /// Is never lowered.
    Critical,
}

impl Importance {
    /// Every importance, lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Standard, Self::Critical];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in records, configuration and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Standard => "standard",
            Self::Critical => "critical",
        }
    }

    /// The importance of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for (index, importance) in Importance::ALL.into_iter().enumerate() {
            assert_eq!(Importance::from_name(importance.name()), Some(importance));
            assert_eq!(importance.index(), index);
        }
        assert_eq!(Importance::from_name("high"), None);
    }
}
