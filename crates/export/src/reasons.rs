//! Counts by reason as the summary shows them.

use std::collections::BTreeMap;

use serde::Serialize;

/// Reason → count. Only reasons that occurred are kept, so a quiet run shows `{}`; the keys are
/// in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reasons(BTreeMap<&'static str, u64>);

impl Reasons {
    /// Sum over all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether nothing occurred.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds others' counts.
    pub fn merge(&mut self, other: &Self) {
        for (reason, count) in &other.0 {
            let sum = self.0.entry(reason).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// Each that occurred, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }

    /// How often `reason` occurred.
    #[must_use]
    pub fn get(&self, reason: &str) -> u64 {
        self.0.get(reason).copied().unwrap_or(0)
    }
}

impl FromIterator<(&'static str, u64)> for Reasons {
    fn from_iter<I: IntoIterator<Item = (&'static str, u64)>>(counts: I) -> Self {
        let mut reasons = Self::default();
        for (reason, count) in counts {
            if count != 0 {
                let sum = reasons.0.entry(reason).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        reasons
    }
}
