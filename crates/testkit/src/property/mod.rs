//! What holds for any bytes: one function for each way in, called by the fuzz targets in `fuzz/`
//! and by ordinary tests over the inputs kept there.
//!
//! Each takes the bytes as they come, builds everything else from them (no clock, no randomness,
//! nothing left over from the call before), and panics where a property is violated. So an input
//! that fails once fails always.

mod capture_file;
mod config;
mod decapsulate;
mod frame;
mod guard;
mod random;
mod replay;
mod steering;

pub use capture_file::capture_file;
pub use config::config;
pub use decapsulate::{decapsulate, decapsulate_input};
pub use frame::{frame, frame_input};
pub use guard::{guard, guard_played};
pub use replay::replay;
pub use steering::{steering, steering_input};

/// A property by the name of its fuzz target and of its folder of kept inputs.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Name of the fuzz target.
    pub name: &'static str,
    /// Panics where the bytes violate the property.
    pub body: fn(&[u8]),
}

/// Every property.
pub const ALL: [Property; 7] = [
    Property {
        name: "decapsulate",
        body: decapsulate,
    },
    Property {
        name: "frame",
        body: frame,
    },
    Property {
        name: "steering",
        body: steering,
    },
    Property {
        name: "capture_file",
        body: capture_file,
    },
    Property {
        name: "config",
        body: config,
    },
    Property {
        name: "guard",
        body: guard,
    },
    Property {
        name: "replay",
        body: replay,
    },
];

/// Lengths of prefixes of something `length` bytes long, ascending up to the whole: all of them
/// where that is little work, else about `count_max` spread evenly.
fn prefix_lengths(length: usize, count_max: usize) -> impl Iterator<Item = usize> {
    let step = length / count_max + 1;
    (0..length).step_by(step).chain([length])
}
