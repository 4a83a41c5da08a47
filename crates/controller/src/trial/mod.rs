//! The controller in virtual time against the strict stand-in for EC2, over HTTP: hours of policy
//! in seconds, with the rules and the guard that production has.

mod assurance;
mod crash;
mod enrol;
mod faults;
mod kill;
mod pause;
mod scale;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vxscope_ec2::{Ec2, wall};
use vxscope_report::{
    CanaryReport, Category, Direction, EventKind, Report, SCHEMA, Signals, SourceReport,
};
use vxscope_standin::{Account, Entry, Fault, Seed, Session, Standin};
use vxscope_steward::Notice;
use vxscope_units::{BindTable, MirrorSource, Timestamp};

use crate::config::Config;
use crate::desk::Desk;
use crate::driver::{Driver, HEARTBEAT, State};
use crate::reap::round;

/// Between two rounds of the reaper, seconds.
const ROUND: u64 = 60;
/// When everything begins, on the stand-in's clock: later than anything lags behind.
const START: Duration = Duration::from_secs(3_600);
/// The tag that asks to be mirrored.
const KEY: &str = "mirror";
/// Of `[mirroring]`, for those who pause.
const POLICY: &str = "policy = \"policy.toml\"";
/// Access keys.
const CONTROLLER: &str = "AKIACONTROLLER";
const REAPER: &str = "AKIAREAPER";
/// b of the sources here.
const BOUND: u64 = 4 * 3_600;

/// An account, a sensor that reports what its sources send, a reaper, and a controller.
struct Trial {
    standin: Arc<Standin>,
    folder: TempDir,
    config: Config,
    driver: Option<Driver>,
    /// Another one in the same account, which knows nothing of the first.
    second: Option<Driver>,
    reaper: Option<Desk>,
    /// Instead of a reaper that works: only its sign of life.
    beats: bool,
    /// What sensors were told last.
    table: Option<BindTable>,
    reaped_at: Timestamp,
    /// What the controller's clock says.
    now: Timestamp,
    /// Seconds that really passed.
    lived: u64,
    began: u64,
    seq: u64,
    signals: BTreeMap<String, Signals>,
    /// Interfaces of which nothing comes.
    silent: BTreeSet<String>,
    /// Interfaces whose canaries the sensor misses.
    missed: BTreeSet<String>,
    notices: Vec<Notice>,
    /// Seconds for which each source has not been visible.
    hidden: BTreeMap<String, u64>,
    /// The longest of them.
    longest: u64,
}

impl Trial {
    /// With so many sources of low importance, under a policy that pauses.
    fn new(sources: u8) -> Self {
        Self::with(sources, POLICY, "")
    }

    /// Everybody is full: for what is not about pauses.
    fn manual(sources: u8) -> Self {
        Self::with(sources, "", "")
    }

    /// With further lines of `[mirroring]`, and further tables.
    fn with(sources: u8, mirroring: &str, tables: &str) -> Self {
        let mut trial = Self::without_controller(sources, mirroring, tables);
        trial.begin();
        trial
    }

    /// Before the first controller begins.
    fn without_controller(sources: u8, mirroring: &str, tables: &str) -> Self {
        let standin = Arc::new(Standin::start(1).unwrap());
        standin.account(|account| {
            account.set_throttles(false);
            account.add_instance(Seed::new("i-sensor", "eni-sensor", "10.0.9.9").kind("m5.xlarge"));
            for n in 0..sources {
                let (instance, interface) = (format!("i-{n}"), format!("eni-{n}"));
                let seed = Seed::new(&instance, &interface, &format!("10.0.0.{}", n + 1));
                account.add_instance(seed.tag(KEY, "yes"));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let config = configured(&standin, &folder, mirroring, tables);
        let now = Timestamp::new(wall().seconds(), 0);
        standin.set_time(START);
        let mut trial = Self {
            standin,
            folder,
            config,
            driver: None,
            second: None,
            reaper: None,
            beats: false,
            table: None,
            reaped_at: Timestamp::ZERO,
            now,
            lived: 0,
            began: now.seconds(),
            seq: 0,
            signals: BTreeMap::new(),
            silent: BTreeSet::new(),
            missed: BTreeSet::new(),
            notices: Vec::new(),
            hidden: BTreeMap::new(),
            longest: 0,
        };
        trial.reaper = Some(trial.reaper());
        trial
    }

    /// A reaper, with a role of its own.
    fn reaper(&self) -> Desk {
        let mut config = self.config.clone();
        config.aws.credentials_file = Some(credentials(&self.folder, REAPER));
        Desk::open(config).unwrap()
    }

    /// The configuration is another one from now on, and the controller begins again with it.
    fn configure(&mut self, mirroring: &str, tables: &str) {
        self.kill();
        self.config = configured(&self.standin, &self.folder, mirroring, tables);
        self.begin();
    }

    fn account<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        self.standin.account(act)
    }

    /// The sessions of an interface, whoever owns them.
    fn sessions(&self, interface: &str) -> Vec<Session> {
        self.account(|account| account.sessions_of(interface))
    }

    /// Something goes wrong for the controller, and nobody else.
    fn trouble(&self, fault: Fault) {
        let caller = CONTROLLER.to_owned();
        let fault = Fault { caller, ..fault };
        self.standin.faults(|faults| faults.add(fault));
    }

    fn state(&self) -> State {
        self.driver.as_ref().unwrap().state(self.now)
    }

    /// What is said about an interface.
    fn findings(&self, interface: &str) -> Vec<String> {
        let about = format!("{interface}: ");
        let mut findings = self.state().findings;
        findings.retain(|finding| finding.starts_with(&about));
        findings
    }

    /// The controller's clock jumps; time does not.
    fn jump(&mut self, seconds: i64) {
        let now = self.now.seconds().saturating_add_signed(seconds);
        self.now = Timestamp::new(now, 0);
        self.reaped_at = Timestamp::new(now, 0);
    }

    /// A controller begins, with the folder of the one before.
    fn begin(&mut self) {
        let ec2 = Ec2::start(self.config.aws.clone()).unwrap();
        self.driver = Some(Driver::new(self.config.clone(), ec2, self.now).unwrap());
    }

    /// Another controller begins beside it, with a folder of its own.
    fn also(&mut self) {
        let mut config = self.config.clone();
        config.folder = self.folder.path().join("second");
        let ec2 = Ec2::start(config.aws.clone()).unwrap();
        self.second = Some(Driver::new(config, ec2, self.now).unwrap());
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
        let end = self.lived + seconds;
        while self.lived < end {
            self.step(10.min(end - self.lived));
        }
    }

    /// Until something is so; panics if it is not within so many seconds.
    fn until(&mut self, what: &str, most: u64, is_so: impl Fn(&Self) -> bool) -> u64 {
        let begun = self.lived;
        while !is_so(self) {
            let passed = self.lived - begun;
            assert!(
                passed < most,
                "{what}: not within {most} s; {}",
                self.told()
            );
            self.step(10);
        }
        self.lived - begun
    }

    /// One step of time: sources send, the sensor reports, reaper and controller do their part.
    fn step(&mut self, seconds: u64) {
        let from = self.now;
        self.now = Timestamp::new(from.seconds() + seconds, 0);
        self.lived += seconds;
        self.standin
            .set_time(START + Duration::from_secs(self.lived));
        let report = self.report(from);
        if self.now.seconds() >= self.reaped_at.seconds() + ROUND
            && let Some(reaper) = &mut self.reaper
        {
            self.reaped_at = self.now;
            round(reaper, false, self.now).unwrap();
        }
        if self.beats {
            self.beat();
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

    /// A reaper's sign of life in the account.
    fn beat(&self) {
        let now = self.now.seconds().to_string();
        self.account(|account| {
            for mut target in account.targets() {
                target.tags.insert(HEARTBEAT.to_owned(), now.clone());
                account.put_target(target);
            }
        });
    }

    /// Until every call was answered, or one is frozen.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for driver in [&mut self.driver, &mut self.second].into_iter().flatten() {
                driver.tick(self.now);
                quiet &= driver.is_quiet();
            }
            if let Some(driver) = &mut self.driver {
                self.table = driver.poll_bind_table().or_else(|| self.table.take());
                while let Some(notice) = driver.poll_notice() {
                    self.notices.push(notice);
                }
            }
            if quiet || self.standin.wait_frozen(Duration::ZERO) {
                return;
            }
            for driver in [&mut self.driver, &mut self.second].into_iter().flatten() {
                if !driver.is_quiet() {
                    driver.wait(Duration::from_millis(100));
                }
            }
        }
    }

    fn report(&mut self, from: Timestamp) -> Report {
        let sources = match &self.driver {
            Some(_) => self.sources(),
            None => Vec::new(),
        };
        let mut told = Vec::new();
        for (interface, mirror) in sources {
            let visible = self.is_visible(&interface) && !self.silent.contains(&interface);
            let missed_at = u64::from(self.missed.contains(&interface));
            let signals = self.signals.entry(interface).or_default();
            signals.canary = Some(CanaryReport {
                missed_at,
                ..CanaryReport::default()
            });
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

fn configured(standin: &Standin, folder: &TempDir, mirroring: &str, tables: &str) -> Config {
    let path = |name: &str| folder.path().join(name);
    // As the defaults, but that an hour shows as much as a day does.
    let policy = "mode = \"dynamic\"\n[importance.low]\ntolerance = 10.0\n\
                  [[assign]]\nimportance = \"low\"\ncidr = \"10.0.0.0/24\"\n\
                  [limits]\nnew_pin_minutes = 60\nbaseline_pin_minutes = 60\nday_parts = 1\n\
                  refusal = 0.0\n";
    std::fs::write(path("policy.toml"), policy).unwrap();
    let target = "[target]\nnetwork_interface = \"eni-sensor\"\n";
    let target = if tables.contains("[target]") || tables.contains("[[sensor]]") {
        ""
    } else {
        target
    };
    let text = format!(
        "[mirroring]\ntag_key = \"{KEY}\"\n{mirroring}\n{target}{tables}\n\
         [aws]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\ncredentials_file = \"{}\"\n\
         [limits]\ndescribe_seconds = 60\n[state]\nfolder = \"{}\"\n",
        standin.url(),
        credentials(folder, CONTROLLER).display(),
        path("state").display()
    );
    std::fs::write(path("controller.toml"), text).unwrap();
    let mut config = Config::read(&path("controller.toml")).unwrap();
    // Virtual time has as many readings in a second as real time has in minutes.
    config.aws.readings = (10_000, 1_000_000_000);
    config.aws.waits = (Duration::from_millis(1), Duration::from_millis(2));
    config
}

/// A file with somebody's access key.
fn credentials(folder: &TempDir, key: &str) -> PathBuf {
    let path = folder.path().join(key);
    let keys = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n");
    std::fs::write(&path, keys).unwrap();
    path
}
