//! Who gets a canary when, and which of them are missed.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use vxscope_account::Row;
use vxscope_config as config;
use vxscope_flow::Untracked;
use vxscope_report::CanaryReport;
use vxscope_units::{MirrorSource, Timestamp};

use super::shown::micros;
use crate::canary::{Canary, Way};

/// See the module.
#[derive(Debug)]
pub(crate) struct Canaries {
    canary: Canary,
    schedule: Schedule,
}

/// When, and what came of it. Times are in µs.
#[derive(Debug)]
struct Schedule {
    every: u64,
    wait: u64,
    probes: BTreeMap<MirrorSource, Probe>,
    sent: u64,
    missed: u64,
}

/// Those to one source.
#[derive(Clone, Copy, Debug, Default)]
struct Probe {
    /// The round of the last one, or of the time when the source was met.
    round: u64,
    sent: u64,
    /// When the first one was sent since which nothing came; else 0.
    open_since: u64,
    /// Packets of the source at that time.
    packets: u64,
    missed_at: u64,
}

impl Canaries {
    /// `None` if none are to be sent.
    pub(crate) fn new(settings: &config::Canary) -> Option<Self> {
        (settings.every_seconds > 0).then(|| Self {
            canary: Canary::new(settings.port),
            schedule: Schedule::new(
                Duration::from_secs(settings.every_seconds.into()),
                Duration::from_secs(settings.wait_seconds.into()),
            ),
        })
    }

    /// How workers know them.
    pub(crate) fn canary(&self) -> &Canary {
        &self.canary
    }

    /// A tick: sends those that are due, to those who are mirrored in full. Whose report changed.
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        rows: &BTreeMap<MirrorSource, Row>,
        is_mirrored: impl Fn(MirrorSource) -> bool,
    ) -> Vec<MirrorSource> {
        let canary = &self.canary;
        // What cannot be sent now is sent in another round, and was not sent.
        let send = |source: MirrorSource, round| send_one(canary, source.address, round).is_ok();
        self.schedule.tick(micros(now), rows, is_mirrored, send)
    }

    /// How those to a source fared, by its row; `None` before the first.
    pub(super) fn of(&self, source: MirrorSource, row: &Row) -> Option<CanaryReport> {
        let probe = self.schedule.probes.get(&source)?;
        (probe.sent > 0).then_some(CanaryReport {
            sent: probe.sent,
            returned: returned(row),
            missed_at: probe.missed_at,
        })
    }

    /// How many were sent, and how many missed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.schedule.sent, self.schedule.missed)
    }
}

impl Schedule {
    fn new(every: Duration, wait: Duration) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            every: micros(every).max(1),
            wait: micros(wait),
            probes: BTreeMap::new(),
            sent: 0,
            missed: 0,
        }
    }

    fn tick(
        &mut self,
        now: u64,
        rows: &BTreeMap<MirrorSource, Row>,
        is_mirrored: impl Fn(MirrorSource) -> bool,
        send: impl Fn(MirrorSource, u64) -> bool,
    ) -> Vec<MirrorSource> {
        let mut changed = Vec::new();
        for (source, row) in rows {
            // Not all at once.
            let phase = spread(source) % self.every;
            let round = now.saturating_add(phase) / self.every;
            let met = Probe {
                round,
                ..Probe::default()
            };
            let probe = self.probes.entry(*source).or_insert(met);
            let before = probe.missed_at;
            if !is_mirrored(*source) {
                (probe.open_since, probe.missed_at, probe.round) = (0, 0, round);
            }
            self.missed += u64::from(probe.look(now, self.wait, row));
            if probe.round != round {
                probe.round = round;
                if send(*source, round) {
                    if probe.open_since == 0 {
                        (probe.open_since, probe.packets) = (now, row.packets);
                    }
                    probe.sent += 1;
                    self.sent += 1;
                    changed.push(*source);
                }
            }
            if probe.missed_at != before {
                changed.push(*source);
            }
        }
        changed
    }
}

impl Probe {
    /// What came since; true if the last one is missed from now on. One that never came back may be
    /// kept off by the source's security group.
    fn look(&mut self, now: u64, wait: u64, row: &Row) -> bool {
        if row.packets > self.packets {
            (self.open_since, self.missed_at) = (0, 0);
        }
        let is_late = self.open_since > 0 && now >= self.open_since.saturating_add(wait);
        let is_missed = is_late && returned(row) > 0 && self.missed_at == 0;
        if is_missed {
            self.missed_at = self.open_since;
        }
        is_missed
    }
}

/// Copies that came.
fn returned(row: &Row) -> u64 {
    row.untracked.get(Untracked::Canary)
}

/// A number of a source's own, the same in every run.
fn spread(source: &MirrorSource) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(source)
}

/// Sends one from a socket of its own, which learns from which address that is.
fn send_one(canary: &Canary, source: IpAddr, round: u64) -> io::Result<()> {
    let any: IpAddr = match source {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect((source, canary.port()))?;
    let sensor = socket.local_addr()?.ip();
    let payload = canary.payload(Way { sensor, source }, round);
    socket.send(&payload).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use vxscope_units::Vni;

    const MINUTE: u64 = 60_000_000;
    const SECOND: u64 = 1_000_000;

    /// A source, and what is sent to it, second by second.
    struct Scene {
        schedule: Schedule,
        rows: BTreeMap<MirrorSource, Row>,
        sent: RefCell<u64>,
        now: u64,
    }

    #[test]
    fn one_that_stays_away_is_missed_until_anything_comes() {
        let mut scene = Scene::new();
        scene.pass(11 * MINUTE, true);
        let sent = *scene.sent.borrow();
        assert!((2..=3).contains(&sent), "every five minutes: {sent}");
        assert_eq!(scene.probe().missed_at, 0, "none has ever come back");
        scene.row().untracked.add(Untracked::Canary);
        scene.row().packets += 1;
        scene.pass(6 * MINUTE, true);
        let missed_at = scene.probe().missed_at;
        assert!(missed_at > 11 * MINUTE, "{missed_at}");
        assert_eq!(scene.schedule.missed, 1);
        scene.pass(20 * MINUTE, true);
        assert_eq!(scene.probe().missed_at, missed_at, "nothing came since");
        assert_eq!(scene.schedule.missed, 1, "told once");
        scene.row().packets += 1;
        scene.pass(SECOND, true);
        assert_eq!(scene.probe().missed_at, 0);
    }

    #[test]
    fn whoever_is_not_mirrored_gets_none_and_is_not_missed() {
        let mut scene = Scene::new();
        scene.row().untracked.add(Untracked::Canary);
        scene.row().packets += 1;
        scene.pass(6 * MINUTE, true);
        assert!(scene.probe().missed_at > 0);
        scene.pass(MINUTE, false);
        assert_eq!(scene.probe().missed_at, 0);
        let sent = *scene.sent.borrow();
        scene.pass(20 * MINUTE, false);
        assert_eq!(*scene.sent.borrow(), sent);
    }

    #[test]
    fn traffic_is_as_good_as_its_return() {
        let mut scene = Scene::new();
        scene.row().untracked.add(Untracked::Canary);
        for _ in 0..60 {
            scene.row().packets += 1;
            scene.pass(20 * SECOND, true);
            assert_eq!(scene.probe().missed_at, 0);
        }
        assert!(*scene.sent.borrow() >= 4);
    }

    impl Scene {
        fn new() -> Self {
            let every = Duration::from_secs(300);
            Self {
                schedule: Schedule::new(every, Duration::from_secs(30)),
                rows: [(source(), Row::default())].into(),
                sent: RefCell::default(),
                now: 0,
            }
        }

        fn row(&mut self) -> &mut Row {
            self.rows.get_mut(&source()).unwrap()
        }

        fn probe(&self) -> Probe {
            self.schedule.probes[&source()]
        }

        fn pass(&mut self, micros: u64, is_mirrored: bool) {
            for _ in 0..micros / SECOND {
                self.now += SECOND;
                let send = |_, _| {
                    *self.sent.borrow_mut() += 1;
                    true
                };
                self.schedule
                    .tick(self.now, &self.rows, |_| is_mirrored, send);
            }
        }
    }

    fn source() -> MirrorSource {
        MirrorSource {
            address: [10, 0, 0, 5].into(),
            vni: Vni::try_new(7).unwrap(),
        }
    }
}
