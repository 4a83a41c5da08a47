//! `run`: the loop itself, and its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use vxscope_ec2::{Ec2, wall};
use vxscope_enrolment::lead::{Ending, Farewell};
use vxscope_log::TOLD;
use vxscope_units::Timestamp;

use crate::config::Config;
use crate::confine::confine;
use crate::driver::{Driver, bind_table};
use crate::failure::Failure;
use crate::minutes::Minutes;
use crate::sensor::{Sensors, Word};
use crate::{orders, plan, print};

/// Between two looks at everything: a fraction of what a resume may take.
const TICK: Duration = Duration::from_millis(200);
/// How often the status is written.
const SHOW_NANOS: u64 = 2_000_000_000;
/// How long the end waits for the last calls.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// What was typed behind `run`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) once: bool,
    pub(crate) apply: bool,
    /// With `once`: seconds.
    pub(crate) within: u64,
}

pub(crate) fn run(file: &Path, options: Options) -> Result<(), Failure> {
    let mut config = Config::read(file).map_err(Failure::Configuration)?;
    if options.once {
        // Nothing happens later that somebody could hint at.
        config.queue = None;
    }
    if !options.apply {
        return dry_run(&config, options.once);
    }
    let signals = Signals::listen()?;
    confine(&config);
    let mut work = Work::begin(config)?;
    let (settled, ending) = if options.once {
        (work.settle(options.within, &signals), Ending::Final)
    } else {
        (true, work.go_on(&signals))
    };
    work.end(options.once, settled, ending)
}

/// A controller at work.
struct Work {
    driver: Driver,
    sensors: Sensors,
    minutes: Minutes,
    folder: PathBuf,
    shown: Timestamp,
}

impl Work {
    fn begin(config: Config) -> Result<Self, Failure> {
        let ec2 = Ec2::start(config.aws.clone());
        let ec2 = ec2.map_err(|error| Failure::Failed(error.to_string()))?;
        let sensors = Sensors::watch(&config.sockets)?;
        let folder = config.folder.clone();
        let driver = Driver::new(config, ec2, wall()).map_err(Failure::Failed)?;
        Ok(Self {
            driver,
            sensors,
            minutes: Minutes::new(&folder),
            folder,
            shown: Timestamp::ZERO,
        })
    }

    /// Until somebody ends it; how.
    fn go_on(&mut self, signals: &Signals) -> Ending {
        loop {
            let now = self.step();
            if let Some(ending) = signals.ending() {
                self.bid_farewell(&Farewell::new(ending, now));
                return ending;
            }
            self.driver.wait(TICK);
        }
    }

    /// Brings everybody back, where the end is for good. Who is paused is known only once the
    /// account was read: an end soon after the begin waits for that, too.
    fn bid_farewell(&mut self, end: &Farewell) {
        let mut asked = false;
        loop {
            let now = self.step();
            let knows = self.driver.has_read();
            if end.resumes() && knows && !std::mem::replace(&mut asked, true) {
                self.driver.bring_back(now);
            }
            let lowered = self.driver.lowered();
            let open = lowered + usize::from(!knows);
            if end.is_over(open, now) {
                if end.resumes() && open > 0 {
                    tracing::warn!(lowered, "the rest is brought back by the reaper");
                    self.driver.leave_to_reaper();
                    self.driver.wait(LAST_CALLS);
                }
                return;
            }
            self.driver.wait(TICK);
        }
    }

    /// Until everything is as it should be; false if it is not in time.
    fn settle(&mut self, within: u64, signals: &Signals) -> bool {
        let begun = wall();
        loop {
            let now = self.step();
            if self.driver.is_settled(now) {
                return true;
            }
            let late = now.nanos_since(begun) > within.saturating_mul(1_000_000_000);
            if late || signals.ending().is_some() {
                return false;
            }
            self.driver.wait(TICK);
        }
    }

    /// Everything once.
    fn step(&mut self) -> Timestamp {
        let now = wall();
        while let Some(report) = self.sensors.poll() {
            self.driver.handle_report(&report, now);
        }
        if let Some(order) = orders::take(&self.folder) {
            tracing::warn!(target: TOLD, ?order, "somebody ordered");
            self.driver.handle_command(order.command(), now);
        }
        self.driver.tick(now);
        if let Some(table) = self.driver.poll_bind_table() {
            self.sensors
                .tell(None, Word::BindTable, &bind_table(&table));
        }
        while let Some(notice) = self.driver.poll_notice() {
            tracing::info!(?notice);
            self.minutes.note(&notice.to_json());
        }
        while let Some(line) = self.driver.poll_line() {
            self.minutes.note(&line);
        }
        for (sensor, request) in self.driver.poll_oversight(now) {
            self.sensors.tell(Some(&sensor), Word::Oversight, &request);
        }
        for (sensor, pulse) in self.sensors.pulses() {
            self.driver.handle_pulse(sensor, pulse, now);
        }
        if now.nanos_since(self.shown) >= SHOW_NANOS || now < self.shown {
            self.shown = now;
            self.driver.show(now);
        }
        now
    }

    fn end(mut self, once: bool, settled: bool, ending: Ending) -> Result<(), Failure> {
        let now = wall();
        self.driver.show(now);
        self.driver.close(now);
        // After an upgrade the next one has this folder, and with it the lease.
        if ending == Ending::Final {
            self.driver.let_go();
        }
        let state = self.driver.state(now);
        if !settled {
            let acting = state.holder.map(|holder| format!("{holder} acts"));
            let why = state.last_error.or(state.lease_problem).or(acting);
            let why = why.unwrap_or_else(|| "see status".to_owned());
            return Err(Failure::Failed(format!(
                "not everything is as it should be: {why}"
            )));
        }
        if once {
            print(&plan::summary(&state))?;
        }
        Ok(())
    }
}

/// Says what would be done, whenever that changes.
fn dry_run(config: &Config, once: bool) -> Result<(), Failure> {
    let stop = stop()?;
    let mut said = String::new();
    loop {
        let text = plan::text(config)?;
        if text != said {
            print(&text)?;
            said = text;
        }
        if once {
            return Ok(());
        }
        let begun = wall();
        while wall().nanos_since(begun) < nanos(config.limits.describe_every) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
    }
}

/// How the end is asked for.
struct Signals {
    stop: Arc<AtomicBool>,
    /// SIGHUP: another controller begins in a moment.
    upgrade: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let upgrade = Arc::new(AtomicBool::new(false));
        register(SIGHUP, &upgrade)?;
        Ok(Self {
            stop: stop()?,
            upgrade,
        })
    }

    fn ending(&self) -> Option<Ending> {
        if self.stop.load(Ordering::Relaxed) {
            Some(Ending::Final)
        } else {
            let upgrade = self.upgrade.load(Ordering::Relaxed);
            upgrade.then_some(Ending::Upgrade)
        }
    }
}

/// Set by SIGINT and SIGTERM.
pub(crate) fn stop() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    register(SIGINT, &stop)?;
    register(SIGTERM, &stop)?;
    Ok(stop)
}

fn register(signal: i32, flag: &Arc<AtomicBool>) -> Result<(), Failure> {
    let registered = signal_hook::flag::register(signal, flag.clone());
    registered
        .map(drop)
        .map_err(|error| Failure::Failed(format!("signals: {error}")))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
