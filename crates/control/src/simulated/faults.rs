//! What goes wrong in the simulated API, and how much of it.

use std::time::Duration;

use vxscope_units::Timestamp;

/// Probabilities are in millionths, times from the least to the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// From the call to the deed, and from the deed to the answer.
    pub latency: (Duration, Duration),
    /// From the deed until Describe shows it.
    pub lag: (Duration, Duration),
    /// Calls that get lost before anything is done; their answer is that none came.
    pub lost_before: u32,
    /// Answers that get lost after the deed.
    pub lost_after: u32,
    /// Calls that are throttled though there are tokens, as when other tools take them.
    pub throttled: u32,
    /// Calls that EC2 cannot take just then.
    pub unavailable: u32,
    /// Changing calls that the account may make at once.
    pub burst: u32,
    /// Changing calls a second in the long run, in thousandths.
    pub rate_milli: u64,
    /// Sessions on a page of Describe.
    pub page: usize,
    /// When nothing is taken at all, in order.
    pub outages: Vec<Outage>,
}

/// A time without the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// It begins.
    pub from: Timestamp,
    /// It is over.
    pub to: Timestamp,
}

impl Default for Faults {
    /// An ordinary day: nothing fails, nothing is at once.
    fn default() -> Self {
        Self {
            latency: (Duration::from_millis(50), Duration::from_millis(400)),
            lag: (Duration::ZERO, Duration::from_secs(2)),
            lost_before: 0,
            lost_after: 0,
            throttled: 0,
            unavailable: 0,
            burst: 50,
            rate_milli: 5_000,
            page: 1_000,
            outages: Vec::new(),
        }
    }
}

impl Faults {
    /// No latency, no lag, no limit of calls.
    #[must_use]
    pub fn none() -> Self {
        Self {
            latency: (Duration::ZERO, Duration::ZERO),
            lag: (Duration::ZERO, Duration::ZERO),
            burst: 1_000_000,
            rate_milli: 1_000_000,
            ..Self::default()
        }
    }

    /// Whether nothing is taken at this time.
    #[must_use]
    pub fn is_out(&self, at: Timestamp) -> bool {
        self.outages
            .iter()
            .any(|outage| outage.from <= at && at < outage.to)
    }
}
