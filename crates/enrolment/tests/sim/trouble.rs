//! What goes wrong in one life, drawn from its seed.

use std::time::Duration;

use vxscope_control::Random;
use vxscope_control::simulated::{Faults, Outage};
use vxscope_units::Timestamp;

/// Seconds of wishes, and of quiet afterwards.
pub(crate) const BUSY: u64 = 2_700;
pub(crate) const QUIET: u64 = 1_800;

/// From and to, in seconds.
pub(crate) type Span = (u64, u64);

#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// When EC2 takes nothing.
    pub(crate) api: Vec<Span>,
    /// When the store takes nothing.
    pub(crate) store: Vec<Span>,
    /// When each controller is not there.
    pub(crate) down: [Vec<Span>; 2],
    /// When each controller stands still: it is there afterwards as if nothing had been.
    pub(crate) stalls: [Vec<Span>; 2],
    /// When a controller alone cannot reach the store.
    pub(crate) cut: [Vec<Span>; 2],
    /// When the reaper is not there.
    pub(crate) reaper: Vec<Span>,
    /// By how many seconds each controller's wall clock jumps, and when.
    pub(crate) jumps: [Vec<(u64, i64)>; 2],
    pub(crate) lost: u32,
}

impl Trouble {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut spans = |most: u64, longest: u64| -> Vec<Span> {
            let count = random.below(most + 1);
            (0..count)
                .map(|_| {
                    let from = 120 + random.below(BUSY - 120);
                    (from, from + 5 + random.below(longest))
                })
                .collect()
        };
        Self {
            api: spans(2, 600),
            store: spans(2, 400),
            down: [spans(3, 400), spans(3, 400)],
            stalls: [spans(2, 200), spans(2, 200)],
            cut: [spans(1, 300), spans(1, 300)],
            reaper: spans(1, 600),
            jumps: [jumps(random), jumps(random)],
            lost: if random.chance(500_000) { 20_000 } else { 0 },
        }
    }

    pub(crate) fn faults(&self, at: impl Fn(u64) -> Timestamp) -> Faults {
        let outage = |(from, to): &Span| Outage {
            from: at(*from),
            to: at(*to),
        };
        Faults {
            latency: (Duration::from_millis(20), Duration::from_millis(1_500)),
            lag: (Duration::ZERO, Duration::from_secs(20)),
            lost_before: self.lost,
            lost_after: self.lost,
            throttled: self.lost * 2,
            unavailable: self.lost / 2,
            outages: self.api.iter().map(outage).collect(),
            page: 5,
            ..Faults::default()
        }
    }
}

fn jumps(random: &mut Random) -> Vec<(u64, i64)> {
    let count = random.below(4);
    let mut jumps: Vec<(u64, i64)> = (0..count)
        .map(|_| {
            let far = [5, 90, 3_700][usize::try_from(random.below(3)).expect("below 3")];
            let seconds = i64::try_from(random.below(far)).expect("some thousands");
            let back = random.chance(500_000);
            (random.below(BUSY), if back { -seconds } else { seconds })
        })
        .collect();
    jumps.sort_unstable();
    jumps
}

/// Whether a second is in one of them.
pub(crate) fn within(spans: &[Span], second: u64) -> bool {
    spans
        .iter()
        .any(|(from, to)| (*from..*to).contains(&second))
}
