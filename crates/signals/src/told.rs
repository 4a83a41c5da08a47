//! What a worker told lately, so that it need not tell it again.

use vxscope_units::{SourceId, Timestamp};

use crate::bloom::GENERATION;
use crate::mix::hash;

/// Things remembered, a power of two: 64 KiB. Reached: one gives way to another, and is told again.
const KEPT: usize = 8_192;

/// Domains that were told this week, each in the one place it may have.
///
/// A thing that is told again in the same week changes nothing in a [`Book`](crate::Book): it is
/// in the current generation already, or the source is saturated. So this shows in no event.
#[derive(Debug)]
pub struct Told {
    places: Vec<u64>,
    lost: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            places: vec![0; KEPT],
            lost: 0,
        }
    }
}

impl Told {
    /// Whether this is known to have been told; if not, it is from now on. `lost` is how many
    /// facts did not arrive so far: when it grows, nothing is certain to have been told.
    pub fn is_told(&mut self, source: SourceId, thing: u64, now: Timestamp, lost: u64) -> bool {
        if lost != self.lost {
            self.lost = lost;
            self.places.fill(0);
        }
        let week = now.seconds() / GENERATION;
        // Zero stands for nothing.
        let key = hash(thing, [u64::from(source.get()), week]) | 1 << 63;
        #[expect(clippy::cast_possible_truncation, reason = "the low bits")]
        let place = key as usize % KEPT;
        match self.places.get_mut(place) {
            Some(known) => std::mem::replace(known, key) == key,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GENERATION, KEPT, Told};
    use vxscope_units::{SourceId, Timestamp};

    #[test]
    fn a_thing_is_told_once_a_week_and_source() {
        let mut told = Told::default();
        let [here, there] = [1, 2].map(SourceId::new);
        let [now, next] = [0, GENERATION].map(|second| Timestamp::new(second, 0));
        assert!(!told.is_told(here, 7, now, 0));
        assert!(told.is_told(here, 7, now, 0));
        assert!(!told.is_told(there, 7, now, 0));
        assert!(!told.is_told(here, 8, now, 0));
        assert!(!told.is_told(here, 7, next, 0));
    }

    #[test]
    fn after_a_loss_everything_is_told_again_once() {
        let mut told = Told::default();
        let (source, now) = (SourceId::new(1), Timestamp::ZERO);
        told.is_told(source, 7, now, 0);
        assert!(!told.is_told(source, 7, now, 1));
        assert!(told.is_told(source, 7, now, 1));
    }

    #[test]
    fn more_things_than_places_are_told_again_and_never_forgotten_untold() {
        let mut told = Told::default();
        let (source, now) = (SourceId::new(1), Timestamp::ZERO);
        let things = 4 * KEPT as u64;
        assert!((0..things).all(|thing| !told.is_told(source, thing, now, 0)));
        let again = (0..things).filter(|thing| !told.is_told(source, *thing, now, 0));
        assert!(again.count() > 0);
    }
}
