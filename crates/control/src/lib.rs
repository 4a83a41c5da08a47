//! From a wish to a mirror session that is as it should be, and back before its time is over.
//!
//! * [`guard`]: the gate that every wish passes, and the clock that brings sources back. It knows
//!   bounds, floors, caps and pins, and nothing of what the policy thinks.
//!
//! Pure: the time is an argument, bytes and calls are results. What is not allowed is counted.

pub mod guard;
mod row;

pub use row::Row;
