//! More sources than slots: who may be off takes turns, within the bounds or not at all.
//!
//! With N sources on S slots and an on-time a, each is off for a · ⌈(N − S) / S⌉: turns that began
//! together end together. That must not be more than b less what a call may take; whoever is
//! beyond gets no turn, and is named.

use std::time::Duration;

use vxscope_control::guard::MARGIN;

/// A source that may be off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taker {
    pub(crate) interface: String,
    /// How long it was on or off by now.
    pub(crate) since: Duration,
    pub(crate) has: bool,
}

/// What all takers must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// a: how long a turn lasts.
    pub(crate) on: Duration,
    /// b: the longest that anybody may be off.
    pub(crate) off: Duration,
}

/// How many sources can share so many slots.
#[must_use]
pub(crate) fn most(slots: usize, bounds: Bounds) -> usize {
    let off = bounds.off.saturating_sub(MARGIN).as_secs();
    let on = bounds.on.as_secs().max(1);
    let rounds = usize::try_from(off / on).unwrap_or(usize::MAX);
    slots.saturating_add(slots.saturating_mul(rounds))
}

/// Who has a slot from now on: whoever was longest off follows whoever was longest on, once that
/// one's on-time is over. Takers beyond [`most`] must have been taken out before.
pub(crate) fn turn(takers: &mut [Taker], slots: usize, bounds: Bounds) {
    let mut waiting: Vec<usize> = (0..takers.len()).filter(|at| !takers[*at].has).collect();
    waiting.sort_by_key(|at| {
        (
            std::cmp::Reverse(takers[*at].since),
            takers[*at].interface.clone(),
        )
    });
    let mut waiting = waiting.into_iter();
    let mut having: Vec<usize> = (0..takers.len()).filter(|at| takers[*at].has).collect();
    // Longest on first, so that they are the ones to go.
    having.sort_by_key(|at| {
        (
            std::cmp::Reverse(takers[*at].since),
            takers[*at].interface.clone(),
        )
    });
    let excess = having.len().saturating_sub(slots);
    let (over, rest) = having.split_at(excess);
    over.iter().for_each(|at| end(&mut takers[*at]));
    for _ in having.len()..slots {
        if let Some(next) = waiting.next() {
            begin(&mut takers[next]);
        }
    }
    for at in rest.iter().copied() {
        if takers[at].since < bounds.on {
            break;
        }
        let Some(next) = waiting.next() else {
            break;
        };
        end(&mut takers[at]);
        begin(&mut takers[next]);
    }
}

fn begin(taker: &mut Taker) {
    (taker.has, taker.since) = (true, Duration::ZERO);
}

fn end(taker: &mut Taker) {
    (taker.has, taker.since) = (false, Duration::ZERO);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        on: Duration::from_secs(57 * 60),
        off: Duration::from_secs(240 * 60),
    };

    #[test]
    fn nobody_is_off_for_longer_than_the_bound_and_all_have_turns() {
        for slots in [1, 3, 10] {
            let most = most(slots, BOUNDS);
            let mut takers: Vec<Taker> = (0..most)
                .map(|n| Taker {
                    interface: format!("eni-{n}"),
                    since: Duration::ZERO,
                    has: false,
                })
                .collect();
            let mut longest = Duration::ZERO;
            for minute in 0..3 * 24 * 60 {
                takers
                    .iter_mut()
                    .for_each(|one| one.since += Duration::from_secs(60));
                turn(&mut takers, slots, BOUNDS);
                assert_eq!(takers.iter().filter(|one| one.has).count(), slots);
                if minute > 24 * 60 {
                    let off = takers.iter().filter(|one| !one.has).map(|one| one.since);
                    longest = longest.max(off.max().unwrap_or_default());
                }
            }
            assert!(longest <= BOUNDS.off, "{slots}: {longest:?}");
            assert!(longest > BOUNDS.off / 2, "{slots}: {longest:?}");
        }
    }

    #[test]
    fn bounds_say_how_many_share_a_slot() {
        assert_eq!(most(10, BOUNDS), 10 + 40);
        let strict = Bounds {
            off: Duration::from_secs(60),
            ..BOUNDS
        };
        assert_eq!(most(10, strict), 10, "nobody waits");
    }
}
