//! From what is in an account to the mirror sessions that should be there.
//!
//! * [`inventory`]: instances, interfaces, targets, filters and sessions, as EC2 describes them.
//!
//! Pure: the time is an argument, nothing is asked of anybody, and equal inventories give equal
//! answers.

pub mod inventory;
