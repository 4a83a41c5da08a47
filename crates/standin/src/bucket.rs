//! EC2's token buckets: one for each action.

/// So many calls at once, so many a second in the long run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    at: u64,
}

impl Bucket {
    pub(crate) fn new(burst: f64, per_second: f64, now: u64) -> Self {
        Self {
            burst,
            per_second,
            tokens: burst,
            at: now,
        }
    }

    /// False if there is none left.
    pub(crate) fn take(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.at) as f64 / 1_000.0;
        self.at = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        let some = self.tokens >= 1.0;
        if some {
            self.tokens -= 1.0;
        }
        some
    }
}
