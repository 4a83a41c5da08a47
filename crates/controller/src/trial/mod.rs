//! The controller in virtual time against the strict stand-in for EC2, over HTTP: hours of policy
//! in seconds, with the rules and the guard that production has.

mod crash;
mod pause;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vxscope_ec2::{Ec2, wall};
use vxscope_report::{Category, Direction, EventKind, Report, SCHEMA, Signals, SourceReport};
use vxscope_standin::{Entry, Seed, Session, Standin};
use vxscope_steward::Notice;
use vxscope_units::{MirrorSource, Timestamp};

use crate::config::Config;
use crate::desk::Desk;
use crate::driver::Driver;
use crate::reap::round;

/// Between two rounds of the reaper, seconds.
const ROUND: u64 = 60;
/// b of the sources here.
const BOUND: u64 = 4 * 3_600;

/// An account, a sensor that reports what its sources send, a reaper, and a controller.
struct Trial {
    standin: Arc<Standin>,
    folder: TempDir,
    config: Config,
    driver: Option<Driver>,
    reaper: Option<Desk>,
    reaped_at: Timestamp,
    now: Timestamp,
    began: u64,
    seq: u64,
    signals: BTreeMap<String, Signals>,
    notices: Vec<Notice>,
    /// Seconds for which each source has not been visible.
    hidden: BTreeMap<String, u64>,
    /// The longest of them.
    longest: u64,
}

impl Trial {
    /// With so many sources of low importance.
    fn new(sources: u8) -> Self {
        let standin = Arc::new(Standin::start(1).unwrap());
        standin.account(|account| {
            account.set_throttles(false);
            account.add_instance(Seed::new("i-sensor", "eni-sensor", "10.0.9.9").kind("m5.xlarge"));
            for n in 0..sources {
                let (instance, interface) = (format!("i-{n}"), format!("eni-{n}"));
                let seed = Seed::new(&instance, &interface, &format!("10.0.0.{}", n + 1));
                account.add_instance(seed.tag("mirror", "yes"));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let config = configured(&standin, &folder);
        let now = Timestamp::new(wall().seconds(), 0);
        let mut trial = Self {
            standin,
            folder,
            config,
            driver: None,
            reaper: None,
            reaped_at: Timestamp::ZERO,
            now,
            began: now.seconds(),
            seq: 0,
            signals: BTreeMap::new(),
            notices: Vec::new(),
            hidden: BTreeMap::new(),
            longest: 0,
        };
        trial.reaper = Some(Desk::open(trial.config.clone()).unwrap());
        trial.begin();
        trial
    }

    /// A controller begins, with the folder of the one before.
    fn begin(&mut self) {
        let ec2 = Ec2::start(self.config.aws.clone()).unwrap();
        self.driver = Some(Driver::new(self.config.clone(), ec2, self.now).unwrap());
    }

    /// As `kill -9`: whatever it had under way has its effect or not, and nothing is written.
    fn kill(&mut self) {
        self.driver = None;
    }

    fn sources(&self) -> Vec<(String, MirrorSource)> {
        let driver = self.driver.as_ref().unwrap();
        driver.mirrors().collect()
    }

    /// Whether copies of an interface are sent.
    fn is_visible(&self, interface: &str) -> bool {
        self.standin.account(|account| {
            let filters = account.filters();
            let sessions = account.sessions_of(interface);
            let ours = |one: &&Session| one.tags.contains_key("managed-by");
            sessions.iter().filter(ours).any(|session| {
                let filter = filters.iter().find(|one| one.id == session.filter);
                filter.is_some_and(|filter| filter.tags["Name"].ends_with(" All"))
            })
        })
    }

    fn paused(&self) -> Vec<String> {
        let all = self.hidden.keys();
        all.filter(|one| !self.is_visible(one)).cloned().collect()
    }

    /// So many seconds pass.
    fn pass(&mut self, seconds: u64) {
        let end = self.now.seconds() + seconds;
        while self.now.seconds() < end {
            self.step(10.min(end - self.now.seconds()));
        }
    }

    /// Until something is so; panics if it is not within so many seconds.
    fn until(&mut self, what: &str, most: u64, is_so: impl Fn(&Self) -> bool) -> u64 {
        let begun = self.now.seconds();
        while !is_so(self) {
            let passed = self.now.seconds() - begun;
            assert!(
                passed < most,
                "{what}: not within {most} s; {}",
                self.told()
            );
            self.step(10);
        }
        self.now.seconds() - begun
    }

    /// One step of time: sources send, the sensor reports, reaper and controller do their part.
    fn step(&mut self, seconds: u64) {
        let from = self.now;
        self.now = Timestamp::new(from.seconds() + seconds, 0);
        let report = self.report(from);
        if self.now.seconds() >= self.reaped_at.seconds() + ROUND
            && let Some(reaper) = &mut self.reaper
        {
            self.reaped_at = self.now;
            round(reaper, false, self.now).unwrap();
        }
        if let Some(driver) = &mut self.driver {
            driver.handle_report(&report, self.now);
        }
        self.settle();
        for n in 0..self.signals.len().max(self.hidden.len()) {
            let interface = format!("eni-{n}");
            let seconds = match self.is_visible(&interface) {
                true => 0,
                false => self.hidden.get(&interface).copied().unwrap_or(0) + seconds,
            };
            self.longest = self.longest.max(seconds);
            self.hidden.insert(interface, seconds);
        }
    }

    /// Until every call was answered, or one is frozen.
    fn settle(&mut self) {
        let Some(driver) = &mut self.driver else {
            return;
        };
        loop {
            driver.tick(self.now);
            while let Some(notice) = driver.poll_notice() {
                self.notices.push(notice);
            }
            if driver.is_quiet() || self.standin.wait_frozen(Duration::ZERO) {
                return;
            }
            driver.wait(Duration::from_millis(100));
        }
    }

    fn report(&mut self, from: Timestamp) -> Report {
        let sources = match &self.driver {
            Some(_) => self.sources(),
            None => Vec::new(),
        };
        let mut told = Vec::new();
        for (interface, mirror) in sources {
            let visible = self.is_visible(&interface);
            let signals = self.signals.entry(interface).or_default();
            if visible {
                signals.packets += 100;
                signals.flows += 1;
                for direction in [Direction::Ingress, Direction::Egress] {
                    signals.bytes[direction.index()][Category::Web.index()] += 3_000;
                    signals.bytes[direction.index()][Category::Dns.index()] += 100;
                }
            }
            told.push(SourceReport {
                outer_ip: mirror.address,
                vni: mirror.vni.get(),
                eni: None,
                signals: signals.clone(),
            });
        }
        self.seq += 1;
        Report {
            schema: SCHEMA,
            sensor: "test".to_owned(),
            epoch: self.began,
            seq: self.seq - 1,
            from: from.as_nanos() / 1_000,
            to: self.now.as_nanos() / 1_000,
            received: 0,
            kernel_dropped: 0,
            sources: told,
            full: true,
        }
    }

    /// A detector names a source; its sensor reports it.
    fn alert(&mut self, interface: &str) {
        let signals = self.signals.entry(interface.to_owned()).or_default();
        signals.events[EventKind::Alert.index()] += 1;
    }

    /// Calls of one action that had their effect.
    fn done(&self, action: &str) -> Vec<Entry> {
        let log = self.standin.log();
        let done = log.of(action).filter(|entry| entry.done);
        done.cloned().collect()
    }

    /// What was said lately, for whoever wonders why a test fails.
    fn told(&self) -> String {
        let lines = self.notices.iter().rev().take(12);
        let lines: Vec<String> = lines
            .map(|one| format!("{} {}: {}", one.outcome(), one.interface, one.sentence()))
            .collect();
        let state = self.driver.as_ref().map(|driver| driver.state(self.now));
        format!("{lines:#?} {state:?}")
    }
}

fn configured(standin: &Standin, folder: &TempDir) -> Config {
    let path = |name: &str| folder.path().join(name);
    let keys = "[default]\naws_access_key_id = AKIASTANDIN\naws_secret_access_key = secret\n";
    std::fs::write(path("credentials"), keys).unwrap();
    // As the defaults, but that an hour shows as much as a day does.
    let policy = "mode = \"dynamic\"\n[importance.low]\ntolerance = 10.0\n\
                  [[assign]]\nimportance = \"low\"\ncidr = \"10.0.0.0/24\"\n\
                  [limits]\nnew_pin_minutes = 60\nbaseline_pin_minutes = 60\nday_parts = 1\n\
                  refusal = 0.0\n";
    std::fs::write(path("policy.toml"), policy).unwrap();
    let text = format!(
        "[mirroring]\ntag_key = \"mirror\"\npolicy = \"policy.toml\"\n\
         [target]\nnetwork_interface = \"eni-sensor\"\n\
         [aws]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\ncredentials_file = \"{}\"\n\
         [limits]\ndescribe_seconds = 60\n[state]\nfolder = \"{}\"\n",
        standin.url(),
        path("credentials").display(),
        path("state").display()
    );
    std::fs::write(path("controller.toml"), text).unwrap();
    let mut config = Config::read(&path("controller.toml")).unwrap();
    // Virtual time has as many readings in a second as real time has in minutes.
    config.aws.readings = (10_000, 1_000_000_000);
    config
}
