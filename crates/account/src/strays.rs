//! Fragments that arrived at another worker than that of their flow.

/// What became of them. At the end of a run as many were received as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Copies sent to the worker that has the flow.
    pub sent: u64,
    /// Copies that came from others.
    pub received: u64,
    /// Fragments of which no copy could be sent: they are untracked, and exported all the same.
    pub shed: u64,
}

impl Strays {
    /// Adds another worker's counts.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.shed += other.shed;
    }
}
