//! Closed-loop trials of mirror policies: what a policy costs on a fleet, and which attacks on the
//! fleet it sees.
//!
//! A trial draws a fleet and what happens on it from a seed. A policy decides from what it would
//! have seen at the grades that it chose, never from the truth; the truth is for the score. No
//! constant of the attacks comes from a policy.

pub mod activity;
pub mod adversary;
pub mod attack;
pub mod baseline;
pub mod bound;
pub mod charts;
pub mod closed;
pub mod cost;
mod draw;
pub mod fleet;
pub mod interval;
pub mod outcome;
pub mod policies;
pub mod recorded;
pub mod score;
pub mod summary;
pub mod tally;
pub mod time;
pub mod timeline;
pub mod world;
