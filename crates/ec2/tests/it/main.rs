//! The official SDK against the strict stand-in for EC2.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]
#![expect(clippy::panic, reason = "a test fails by it")]

mod answers;
mod bucket;
mod foreign;
mod kit;
mod round_trip;
mod survey;
