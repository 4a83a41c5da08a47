//! The only crate with threads and a clock; wires the stages.
//!
//! [`replay()`] runs captures through the pipeline: records are read once and go to the workers that
//! the steering function names; a writer merges what they deliver, so that the outputs are the same
//! for any number of workers.

mod accounting;
mod alert;
mod canary;
mod clock;
mod command;
mod coverage;
mod detectors;
mod error;
mod evidence;
mod exits;
mod flow_book;
mod follower;
mod handoff;
mod journal;
mod learned;
mod live;
mod look_back;
mod look_up;
mod neighbour;
mod outlet;
mod overseer;
mod plan;
mod presence;
mod reader;
mod replay;
mod reread;
mod serving;
mod start;
mod station;
mod stewarding;
mod stop;
mod stray;
mod summary;
mod vlans;
mod worker;
mod writer;

pub use alert::{ALERTS_PER_SECOND, Alert, REASON_BYTES_MAX, Unheard};
pub use command::{Commands, Stopped};
pub use error::EngineError;
pub use journal::read_journal;
pub use live::{Live, Observer, Started, Status, run};
pub use plan::Plan;
pub use replay::{Extract, Outcome, Progress, Replay, replay};
pub use reread::Reread;
pub use stewarding::{Mirrors, Order, Orders, Stewardship};
pub use stop::Stop;
pub use vxscope_capture::live::Backend;
pub use vxscope_capture::udp::{Inherited, Steered};
