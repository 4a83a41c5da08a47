//! The official SDK against the strict stand-in for EC2.

mod answers;
mod foreign;
mod kit;
mod round_trip;
mod survey;
