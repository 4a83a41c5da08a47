//! What a packet costs in each stage, sampled in production.
//!
//! One batch in [`EVERY`] is timed, by a clock reading at each border between two stages: some
//! twenty readings in thousands of packets. All others cost one comparison a pass.

use std::time::Duration;

use vxscope_report::StageStatus;

use crate::clock::LiveClock;

/// Of so many batches one is timed. Odd, so that it does not beat with what is done every so many
/// packets.
const EVERY: u32 = 63;

/// A part of a worker's way with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From the kernel, waiting not counted.
    Receive,
    /// Tunnel, headers, source, hash.
    Open,
    /// Flow, rings, ledger, outputs.
    Track,
    /// Commands, strays, the worker's own accounts.
    Rest,
}

impl Stage {
    pub(crate) const ALL: [Self; 4] = [Self::Receive, Self::Open, Self::Track, Self::Rest];

    /// As status and metrics call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Open => "open",
            Self::Track => "track",
            Self::Rest => "rest",
        }
    }
}

/// What was timed of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    nanos: u64,
    packets: u64,
}

/// All that was timed, by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Costs([Cost; Stage::ALL.len()]);

impl Costs {
    fn add(&mut self, stage: Stage, time: Duration, packets: usize) {
        if let Some(cost) = self.0.get_mut(stage as usize) {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            cost.nanos = cost.nanos.saturating_add(nanos);
            cost.packets = cost.packets.saturating_add(packets as u64);
        }
    }

    /// Adds another worker's.
    pub(super) fn merge(&mut self, other: &Self) {
        for (cost, more) in self.0.iter_mut().zip(&other.0) {
            cost.nanos = cost.nanos.saturating_add(more.nanos);
            cost.packets = cost.packets.saturating_add(more.packets);
        }
    }

    /// In words.
    pub(super) fn status(&self) -> Vec<StageStatus> {
        let each = Stage::ALL.iter().zip(&self.0);
        each.map(|(stage, cost)| StageStatus {
            name: stage.name().to_owned(),
            packets: cost.packets,
            seconds: cost.nanos as f64 / 1e9,
        })
        .collect()
    }
}

/// One worker's stopwatch.
#[derive(Debug)]
pub(crate) struct Stages {
    clock: LiveClock,
    /// Batches until one is timed.
    left: u32,
    /// Since when, if this batch is timed.
    since: Option<Duration>,
    costs: Costs,
}

impl Stages {
    pub(crate) fn new(clock: LiveClock) -> Self {
        Self {
            clock,
            left: EVERY,
            since: None,
            costs: Costs::default(),
        }
    }

    /// A batch begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.left -= 1;
        self.since = None;
        if self.left == 0 {
            self.left = EVERY;
            self.since = Some(self.clock.elapsed());
        }
    }

    /// A stage of so many packets ends, and the next begins.
    #[inline]
    pub(crate) fn end(&mut self, stage: Stage, packets: usize) {
        if let Some(since) = self.since {
            self.end_timed(since, stage, packets);
        }
    }

    /// What was done since the last border counts nowhere, such as waiting.
    #[inline]
    pub(crate) fn forget(&mut self) {
        if self.since.is_some() {
            self.since = Some(self.clock.elapsed());
        }
    }

    /// All that was timed so far.
    pub(crate) const fn costs(&self) -> Costs {
        self.costs
    }

    #[cold]
    fn end_timed(&mut self, since: Duration, stage: Stage, packets: usize) {
        let now = self.clock.elapsed();
        self.since = Some(now);
        if packets > 0 {
            let time = now.saturating_sub(since);
            self.costs.add(stage, time, packets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_in_so_many_is_timed_with_all_its_packets() {
        let mut stages = Stages::new(LiveClock::start());
        for _ in 0..EVERY * 3 {
            stages.begin();
            stages.end(Stage::Receive, 32);
            stages.end(Stage::Open, 16);
            stages.end(Stage::Track, 16);
            stages.end(Stage::Open, 16);
            stages.forget();
            stages.end(Stage::Rest, 0);
        }
        let mut costs = stages.costs();
        costs.merge(&stages.costs());
        let status = costs.status();
        let packets: Vec<_> = status
            .iter()
            .map(|it| (it.name.as_str(), it.packets))
            .collect();
        let expected = [("receive", 192), ("open", 192), ("track", 96), ("rest", 0)];
        assert_eq!(packets, expected);
        assert!(status[..3].iter().all(|it| it.seconds > 0.0), "{status:?}");
        assert!(status[3].seconds == 0.0);
    }
}
