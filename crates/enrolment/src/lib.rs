//! From what is in an account to the mirror sessions that should be there.
//!
//! * [`inventory`]: instances, interfaces, targets, filters and sessions, as EC2 describes them.
//! * [`Enroller`]: which interfaces are mirrored, through which filter, to which target, by their
//!   tags; and of every other one that was asked for, why not.
//! * [`preflight`]: what would keep copies from arriving, found before anything is created.
//! * [`assurance`]: whether what is sent arrives, and why not.
//! * [`lead`]: who acts, and who brings sources back when nobody does.
//!
//! Pure: the time is an argument, nothing is asked of anybody, and equal inventories give equal
//! answers.

pub mod assurance;
mod balance;
mod draft;
mod enroller;
mod filter;
mod finding;
mod finish;
pub mod inventory;
mod junction;
pub mod lead;
mod memory;
mod plan;
pub mod preflight;
mod selection;
mod settings;
mod stay;
mod target;
mod turns;

pub use balance::Balance;
pub use enroller::Enroller;
pub use filter::{BUILDING, DERIVED_MAX, FilterNeed, Missing, narrows};
pub use finding::{Finding, FindingKind, Weight, agent};
pub use junction::interfaces_of;
pub use memory::{Kept, Lingering, Memory};
pub use plan::{Plan, Slot, Source};
pub use selection::{INDICATOR, Selection, TagMatch, WhenStopped, key_of_bucket};
pub use settings::{PER_INTERFACE, SESSIONS_MAX, Seen, Settings, VniChoice};
pub use target::{
    LARGEST, SOURCES_LARGE, SOURCES_SMALL, Sensor, SensorPlace, TargetNeed, is_alive, sources_max,
};
