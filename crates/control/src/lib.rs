//! From a wish to a mirror session that is as it should be, and back before its time is over.
//!
//! * [`guard`]: the gate that every wish passes, and the clock that brings sources back. It knows
//!   bounds, floors, caps and pins, and nothing of what the policy thinks.
//! * [`mirror`]: what is asked of EC2 and what it answers; [`simulated`] stands for it.
//! * [`reconcile`]: the calls that make sessions as they should be.
//! * [`journal`]: what must be known after a crash.
//! * [`keeper`]: all of it together: wishes in, calls out.
//!
//! Pure: the time is an argument, bytes and calls are results. What is not allowed is counted.

mod budget;
pub mod guard;
pub mod journal;
pub mod keeper;
pub mod mirror;
pub mod reconcile;
mod row;
pub mod simulated;

pub use budget::{Bucket, Random, backoff};
pub use row::Row;
