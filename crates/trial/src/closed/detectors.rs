//! Detectors behind the sensor: what they say of attacks, of harmless traffic, and at the will of
//! an attacker.

use vxscope_sim::random::{Random, hash};

use super::TICK;
use crate::attack::{Attack, Kind, evidence_at};
use crate::draw;
use crate::time::{HOUR, SECOND};
use crate::timeline::Timeline;
use crate::world::World;

/// A detector that has enough says so after this long.
const DELAY: u64 = 20 * SECOND;

/// One alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Alert {
    /// When it is told.
    at: u64,
    pub(super) source: u32,
    pub(super) severe: bool,
}

/// See the module.
pub(super) struct Detectors<'a> {
    /// Attacks that have begun, are not over, and were not found.
    active: Vec<&'a Attack>,
    /// Those that begin later, by their begin.
    ahead: &'a [Attack],
    /// Not yet told.
    alerts: Vec<Alert>,
    random: Random,
}

impl<'a> Detectors<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            active: Vec::new(),
            ahead: &world.attacks,
            alerts: Vec::new(),
            random: Random::new(hash(world.seed, 14)),
        }
    }

    /// Something at `at` looked like an attack.
    pub(super) fn mistake(&mut self, source: u32, at: u64) {
        self.alerts.push(Alert {
            at: at + DELAY,
            source,
            severe: false,
        });
    }

    /// Looks at what is mirrored of the attacks that go on; each is found once.
    pub(super) fn detect(&mut self, timeline: &Timeline, now: u64) {
        let begun = self.ahead.partition_point(|attack| attack.start() < now);
        let (begun, ahead) = self.ahead.split_at(begun);
        self.ahead = ahead;
        self.active.extend(begun);
        let alerts = &mut self.alerts;
        self.active.retain(|attack| {
            let seen = attack.legs.iter().find_map(|leg| {
                let at = evidence_at(leg, timeline).filter(|at| *at <= now)?;
                Some((at, leg))
            });
            if let Some((at, leg)) = seen {
                let severe = matches!(attack.kind, Kind::Lateral | Kind::Exfiltration);
                let at = at.max(now - TICK) + DELAY;
                let involved = std::iter::once(leg.source).chain(leg.peer);
                alerts.extend(involved.map(|source| Alert { at, source, severe }));
            }
            seen.is_none() && attack.end() > now
        });
    }

    /// An attacker makes so many alerts an hour about any of these sources.
    pub(super) fn storm(&mut self, an_hour: f64, alive: &[u32], now: u64) {
        if an_hour <= 0.0 || alive.is_empty() {
            return;
        }
        let mut rest = an_hour * TICK as f64 / HOUR as f64;
        while rest > 0.0 {
            if draw::share(&mut self.random) < rest {
                let source = alive[self.random.index(alive.len())];
                self.alerts.push(Alert {
                    at: now,
                    source,
                    severe: false,
                });
            }
            rest -= 1.0;
        }
    }

    /// The alerts that are told by `now`.
    pub(super) fn due(&mut self, now: u64) -> Vec<Alert> {
        self.alerts
            .extract_if(.., |alert| alert.at <= now)
            .collect()
    }
}
