//! Looking back: packets out of the rings of a running sensor, for people, pins and alerts.
//!
//! ```text
//!  whoever asks ── Command::Inquire ──> worker: a turn between two batches, searched and copied
//!       ▲                                 │ bit by bit
//!       └────── parts, bounded queue ─────┘
//!  keeper ── Command::Inquire + watch ──> worker: packets to come, too
//!       ▲                                 │
//!       └── hauls, a fixed number of boxes ┘   without a box a packet is shed for the pin, counted
//! ```
//! A worker never waits for who asked. Nothing is given without its line in the audit log.

mod counts;
mod keeper;
mod retrieve;
mod retriever;
mod selection;
mod service;
mod watch;

pub(crate) use counts::{Counts, Happened};
pub(crate) use keeper::compact;
pub(crate) use retrieve::{Query, Unanswered};
pub(crate) use retriever::{Inquiry, Retriever};
pub(crate) use service::LookBack;
pub(crate) use watch::Watches;
