//! What a packet costs, each figure beside its ceiling in the same run.
//!
//! Absolute times are not stable on shared machines, so every figure stands beside a ceiling that
//! was measured in turn with it, and what counts is the ratio. CPU time, never wall time.

mod ceiling;
mod goal;
mod peer;
mod request;
mod rounds;
mod run;
mod table;
mod traffic;
mod unrecorded;
mod usage;

pub use ceiling::{STORE_BYTES, Store, copy_each, wait_for_lines, walk};
pub use goal::{at_least, at_most, verdict};
pub use peer::{Measured, Peer};
pub use request::Request;
pub use rounds::{Ratio, Work, interleave, median};
pub use run::{Exports, Once, configuration, replay_once};
pub use table::Table;
pub use traffic::{Capture, Frames, Traffic, bundled, folder};
pub use unrecorded::Unrecorded;
pub use usage::Cpu;
