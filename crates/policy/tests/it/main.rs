//! The policy as its users see it: reports and events in, wishes out.

mod laws;
mod memory;
mod reports;
mod scenarios;
mod shadow;
mod world;
