//! The ledger: what became of every packet, per mirror source.
//!
//! Conservation per stage: received = decapsulated + Σ rejected, decapsulated = tracked +
//! Σ untracked = stored + Σ unstored, and per-source sums equal the totals. Frames of unknown
//! sources are rejected, and those in quarantine counted by source as well.

mod cells;
mod counts;
mod ledger;
mod quarantine;
mod row;
mod strays;

pub use cells::Cells;
pub use counts::{Counted, Counts};
pub use ledger::{Ledger, Statement, Unbalanced};
pub use quarantine::QuarantineRow;
pub use row::{Frame, Row};
pub use strays::Strays;

#[cfg(test)]
mod tests;
