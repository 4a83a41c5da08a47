//! Whether a goal is met, as tables say it.

/// Of a figure that is to be this or less.
#[must_use]
pub fn at_most(goal: f64, reached: f64) -> String {
    format!("≤ {goal}: {}", verdict(reached <= goal))
}

/// Of a figure that is to be this or more.
#[must_use]
pub fn at_least(goal: f64, reached: f64) -> String {
    format!("≥ {goal}: {}", verdict(reached >= goal))
}

/// The word for it.
#[must_use]
pub const fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}
