//! The gate's book of one group: a role in a subnet.

/// Sources that stand in for each other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Group {
    pub(crate) size: u32,
    /// Below full, or not known to be there yet.
    pub(crate) lowered: u32,
    cycle: u128,
    lowerings: u32,
}

impl Group {
    /// Lowerings in this cycle.
    pub(crate) fn lowered_in(&self, cycle: u128) -> u32 {
        if self.cycle == cycle {
            self.lowerings
        } else {
            0
        }
    }

    pub(crate) fn note_lowering(&mut self, cycle: u128) {
        self.lowerings = self.lowered_in(cycle) + 1;
        self.cycle = cycle;
    }
}
