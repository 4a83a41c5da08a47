//! The keeper against a simulated account that goes wrong.

mod crash;
mod law;
mod session;
mod world;
