//! Enrolment as whoever drives it sees it.

mod account;
mod filters;
mod limits;
mod places;
mod preflight;
mod tags;
mod time;
