//! What mirrors cost, and what pausing them saves.

mod usd;

pub use usd::Usd;

use vxscope_units::{Grade, Timestamp};

/// A pause that the policy considers, as far as money depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pause {
    /// Row of the source: prices may depend on its path and its zone.
    pub source: crate::SourceKey,
    /// When it would begin.
    pub at: Timestamp,
    /// When the session was created, as far as is known: billing may count hours from here.
    pub session_since: Timestamp,
    /// Grade before.
    pub from: Grade,
    /// Grade during.
    pub to: Grade,
    /// Shortest and longest length of the pause in seconds; drawn evenly between them.
    pub seconds: (f64, f64),
    /// On-time in seconds that follows at least.
    pub on_seconds: f64,
    /// Bytes an hour that the mirror would deliver, at each grade by [`Grade::index`].
    pub bytes_per_hour: [f64; Grade::ALL.len()],
}

/// What the policy asks of the price table.
pub trait Prices {
    /// Net dollars that the pause saves under the worst of the selected billing models, what
    /// pausing itself costs already subtracted; negative if it costs more than it saves.
    fn saving(&self, pause: &Pause) -> Usd;

    /// Until when the session that exists since `session_since` can stay without starting another
    /// paid hour under the worst of the selected billing models; `now` if it pays by the second.
    fn paid_until(&self, session_since: Timestamp, now: Timestamp) -> Timestamp;
}
