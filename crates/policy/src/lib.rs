//! Dynamic mirroring, decided: which source's mirror is worth its price right now.
//!
//! Pure: reports, rules and the time are arguments, wishes with their reasons are results. The only
//! randomness is a generator that the caller seeds, in production from the operating system. What
//! becomes of a wish is not known here: an independent gate may refuse it, and the caller tells
//! what is really so.

mod admission;
mod agenda;
pub mod bound;
mod decide;
mod decision;
mod edges;
mod event;
mod group;
mod honesty;
mod importance;
mod intake;
mod judge;
pub mod money;
mod observation;
pub mod poisson;
mod policy;
mod relevance;
mod residual;
mod review;
pub mod rules;
mod seeded;
mod sensor;
mod shadow;
mod source;
pub mod strategy;
mod wake;
mod watch;
mod window;
mod wish;

pub use decision::{Decision, Figures, SCHEMA};
pub use event::Event;
pub use honesty::{Honesty, Unseen};
pub use importance::Importance;
pub use intake::{Intake, IntakeCounts, Observer, SENSORS_MAX};
pub use money::Usd;
pub use observation::{Bytes, Observation, Sighted, class_of};
pub use policy::{Counts, Policy};
pub use sensor::SensorKey;
pub use shadow::{ALERTS_KEPT, Missed, MissedAlert, Shadow};
pub use wish::{Cause, Decisions, Hindrance, Kept, Numbers, SourceKey, Wish};
