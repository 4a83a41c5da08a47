//! What mirrors cost, and what pausing them saves.
//!
//! The [`Ledger`] keeps quantities per source (session time, mirrored bytes by path, calls) beside
//! what an always-full mirror would have used; a [`Statement`] prices both with a dated
//! [`PriceTable`], as a range over three billing models and over everything that is an estimate.
//! All sums are integers.
//!
//! ```
//! use vxscope_policy::SourceKey;
//! use vxscope_policy::money::{Ledger, Path, PriceTable};
//! use vxscope_units::{Grade, Timestamp};
//!
//! let mut ledger = Ledger::new(PriceTable::published().expect("the table that ships"));
//! let source = SourceKey::new(0);
//! ledger.enroll(source, "us-east-1", Path::SameAz, Timestamp::new(0, 0));
//! ledger.change(source, Timestamp::new(3_600, 0), Grade::Off);
//! let total = ledger.total(Timestamp::new(5 * 3_600, 0));
//! assert_eq!(total.spent_on(|lines| lines.session).to_string(), "$0.0150");
//! assert_eq!(total.always_full().to_string(), "$0.0750");
//! ```

mod account;
mod billing;
mod ceiling;
mod ledger;
mod path;
mod price_file;
mod prices;
mod range;
mod statement;
mod summary;
#[cfg(test)]
mod tests;
mod usd;

pub use account::{Account, Calls};
pub use billing::Billing;
pub use ceiling::Ceiling;
pub use ledger::{DELETION_SECONDS, Ledger};
pub use path::{Path, Traffic};
pub use prices::{Card, PUBLISHED, PriceTable, Rates};
pub use range::Range;
pub use statement::{Lines, Statement, Usage};
pub use summary::{BillingSummary, PathSummary, Summary};
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
