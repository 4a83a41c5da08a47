//! How many packets came twice, by pairs of sources, for whoever looks while it grows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Serialize, Serializer};
use vxscope_units::MirrorSource;

/// Pairs of sources that are told one by one; further ones are counted together.
pub const PAIRS_MAX: usize = 1_024;

/// What came twice so far. Clones are the same tally: one who counts, and others who look.
#[derive(Clone, Debug, Default)]
pub struct DuplicateTally(Arc<Mutex<Counts>>);

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    frames: u64,
    suppressed: u64,
    pub(super) forgotten: u64,
    /// Two sources, the smaller first.
    pairs: BTreeMap<(MirrorSource, MirrorSource), u64>,
    pairs_omitted_frames: u64,
}

/// What came twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DuplicateSummary {
    /// Frames that were another source's copy of one that came within a second before.
    pub frames: u64,
    /// Of these, kept from other programs.
    pub suppressed: u64,
    /// Frames that were forgotten within their second: their copies were not noticed.
    pub forgotten: u64,
    /// By pairs of sources, the busiest first.
    pub pairs: Vec<DuplicatePair>,
    /// Frames of pairs beyond [`PAIRS_MAX`].
    pub pairs_omitted_frames: u64,
}

/// Two sources that mirror the same packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicatePair {
    /// The sources, each as `10.0.0.1 vni 7`.
    #[serde(serialize_with = "as_texts")]
    pub sources: [MirrorSource; 2],
    /// Packets that both mirrored.
    pub frames: u64,
}

impl DuplicateTally {
    /// What came twice so far.
    #[must_use]
    pub fn summary(&self) -> DuplicateSummary {
        self.counts().summary()
    }

    /// The counts, while nobody else looks: held for a run of frames or a copy of the pairs.
    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Counts a packet that two sources mirrored.
    pub(super) fn add(&mut self, [one, other]: [MirrorSource; 2], suppressed: bool) {
        self.frames += 1;
        self.suppressed += u64::from(suppressed);
        let pair = (one.min(other), one.max(other));
        let is_listed = self.pairs.contains_key(&pair) || self.pairs.len() < PAIRS_MAX;
        if is_listed {
            *self.pairs.entry(pair).or_default() += 1;
        } else {
            self.pairs_omitted_frames += 1;
        }
    }

    fn summary(&self) -> DuplicateSummary {
        let pairs = self.pairs.iter().map(|(pair, frames)| DuplicatePair {
            sources: [pair.0, pair.1],
            frames: *frames,
        });
        let mut pairs: Vec<DuplicatePair> = pairs.collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.frames));
        DuplicateSummary {
            frames: self.frames,
            suppressed: self.suppressed,
            forgotten: self.forgotten,
            pairs,
            pairs_omitted_frames: self.pairs_omitted_frames,
        }
    }
}

fn as_texts<S: Serializer>(sources: &[MirrorSource; 2], serializer: S) -> Result<S::Ok, S::Error> {
    let texts = sources.map(|it| format!("{} vni {}", it.address, it.vni.get()));
    serializer.collect_seq(texts)
}

#[cfg(test)]
mod tests {
    use vxscope_units::{MirrorSource, Vni};

    use super::{DuplicateTally, PAIRS_MAX};

    #[test]
    fn pairs_beyond_the_limit_are_counted_together() {
        let tally = DuplicateTally::default();
        let pairs = u32::try_from(PAIRS_MAX).unwrap() + 3;
        for round in 0..2 {
            for vni in 1..=pairs {
                tally.counts().add([source(vni), source(0)], round == 0);
            }
        }
        tally.counts().add([source(0), source(7)], false);
        let summary = tally.summary();
        assert_eq!(summary.pairs.len(), PAIRS_MAX);
        assert_eq!(summary.pairs[0].sources, [source(0), source(7)]);
        assert_eq!(summary.pairs_omitted_frames, 6);
        let listed: u64 = summary.pairs.iter().map(|it| it.frames).sum();
        assert_eq!(listed + 6, summary.frames);
        assert_eq!(summary.suppressed, u64::from(pairs));
    }

    fn source(vni: u32) -> MirrorSource {
        MirrorSource {
            address: [10, 0, 0, 1].into(),
            vni: Vni::try_new(vni).unwrap(),
        }
    }
}
