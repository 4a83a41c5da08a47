//! The loop of dynamic mirroring: reports in, decisions and mirror calls out.
//!
//! A [`Steward`] has the policy wish, the gate judge and the keeper act, tells the policy what is
//! really so, and explains everything in [`Notice`]s. [`Embedded`] is a steward over a simulated
//! mirror API, for a sensor that has no AWS at hand: a demonstration, a rehearsal, a test.
//!
//! Pure: reports, answers and the time are arguments; nobody waits here.

mod embedded;
mod kept;
mod mind;
mod notice;
mod past;
mod roll;
mod setup;
mod status;
mod steward;

pub use embedded::{Embedded, EmbeddedSetup};
pub use kept::{
    Kept, LEARNED_ASIDE, LEARNED_FILE, LEARNED_MAX, LearnedLine, LearnedReader, LearnedWriter,
};
pub use notice::{Decided, Notice};
pub use past::{Learned, NamedEdge};
pub use roll::Enrolled;
pub use setup::{StewardSetup, bounds_of, guard_rules};
pub use steward::{Command, Detection, Steward};
