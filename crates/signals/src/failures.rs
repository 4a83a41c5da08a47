//! Distinct peers and ports that failed lately: a small exact set of each.

use arrayvec::ArrayVec;

/// Things remembered. More than [`MANY`] by enough that one that comes again pushes none out that
/// still counts before there are many. Reached: the one that failed longest ago is forgotten.
const KEPT: usize = 16;
/// Distinct ones that are many.
const MANY: usize = 10;
/// Seconds in which they failed; also how long nobody is told again.
const WINDOW: u32 = 300;

/// Failures in one direction.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    peers: Recent,
    ports: Recent,
    quiet_until: u32,
}

/// Things by their hash, with the second at which each failed last.
#[derive(Clone, Debug, Default)]
struct Recent(ArrayVec<(u32, u32), KEPT>);

impl Failures {
    /// Notes a failure; whether there are now many, and nobody was told for a while. A protocol
    /// without ports has no `port`.
    #[must_use]
    pub fn are_many(&mut self, peer: u64, port: Option<u64>, second: u64) -> bool {
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        let peers = self.peers.note(peer, second);
        let ports = port.map_or(0, |port| self.ports.note(port, second));
        let are_many = peers.max(ports) >= MANY && second >= self.quiet_until;
        if are_many {
            self.quiet_until = second.saturating_add(WINDOW);
        }
        are_many
    }
}

impl Recent {
    /// Notes a thing; how many distinct ones there were in the window.
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn note(&mut self, hash: u64, second: u32) -> usize {
        let hash = hash as u32;
        match self.0.iter_mut().find(|(known, _)| *known == hash) {
            Some((_, last)) => *last = second.max(*last),
            None => {
                if self.0.is_full()
                    && let Some(oldest) = (0..KEPT).min_by_key(|place| self.at(*place))
                {
                    self.0.swap_remove(oldest);
                }
                // Full or not, there is room now.
                let _ = self.0.try_push((hash, second));
            }
        }
        let recent = self
            .0
            .iter()
            .filter(|(_, last)| last.saturating_add(WINDOW) > second);
        recent.count()
    }

    fn at(&self, place: usize) -> u32 {
        self.0.get(place).map_or(u32::MAX, |(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::{Failures, WINDOW};

    #[test]
    fn ten_peers_or_ten_ports_are_many_and_nine_of_each_are_not() {
        for (peers, ports, many) in [(10, 1, 1), (1, 10, 1), (9, 9, 0), (1, 1, 0), (10, 10, 1)] {
            let mut failures = Failures::default();
            let told = (0..u64::max(peers, ports))
                .filter(|n| failures.are_many(n % peers, Some(n % ports), 7))
                .count();
            assert_eq!(told, many, "{peers} {ports}");
        }
    }

    #[test]
    fn the_same_peer_counts_once() {
        let mut failures = Failures::default();
        let told = (0..1_000).filter(|_| failures.are_many(1, None, 7)).count();
        assert_eq!(told, 0);
    }

    #[test]
    fn they_are_told_once_in_five_minutes_and_again_after_them() {
        let mut failures = Failures::default();
        let told: Vec<u64> = (0..1_000)
            .filter(|second| failures.are_many(*second, None, *second))
            .collect();
        let window = u64::from(WINDOW);
        assert_eq!(told, [9, 9 + window, 9 + 2 * window, 9 + 3 * window]);
    }

    #[test]
    fn what_failed_five_minutes_ago_no_longer_counts() {
        let mut failures = Failures::default();
        // One every 34 seconds: nine within any five minutes.
        let told = (0..100)
            .filter(|n| failures.are_many(*n, None, n * 34))
            .count();
        assert_eq!(told, 0);
        let mut failures = Failures::default();
        let told = (0..100)
            .filter(|n| failures.are_many(*n, None, n * 33))
            .count();
        assert!(told > 0, "ten in 297 seconds");
    }
}
