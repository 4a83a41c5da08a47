//! The controller itself, as a process, against the strict stand-in for EC2.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod beside;
mod chain;
mod crash;
mod enrol;
mod kit;
mod lease;
mod names;
mod operate;
mod preflight;
mod scale;
