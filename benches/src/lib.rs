//! What a packet costs, each figure beside its ceiling in the same run.
//!
//! Absolute times are not stable on shared machines, so every figure stands beside a ceiling that
//! was measured in turn with it, and what counts is the ratio. CPU time, never wall time.

mod ceiling;
mod peer;
mod rounds;
mod run;
mod table;
mod traffic;
mod usage;

pub use ceiling::{STORE_BYTES, Store, copy_each, wait_for_lines, walk};
pub use peer::{Measured, Peer};
pub use rounds::{Ratio, Work, interleave, median};
pub use run::{Exports, Once, configuration, replay_once};
pub use table::Table;
pub use traffic::{Capture, Frames, Traffic, bundled, folder};
pub use usage::Cpu;
