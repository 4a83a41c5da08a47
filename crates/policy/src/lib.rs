//! Dynamic mirroring, decided: which source's mirror is worth its price right now.
//!
//! Pure: reports, rules and the time are arguments, wishes with their reasons are results. The only
//! randomness is a generator that the caller seeds, in production from the operating system. What
//! becomes of a wish is not known here: an independent gate may refuse it, and the caller tells
//! what is really so.

pub mod bound;
mod importance;
pub mod money;
pub mod poisson;
mod seeded;
pub mod strategy;
mod wish;

pub use importance::Importance;
pub use money::Usd;
pub use wish::{Cause, Numbers, SourceKey, Wish};
