//! `run`: the loop itself, and its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use vxscope_ec2::{Ec2, wall};
use vxscope_units::Timestamp;

use crate::config::Config;
use crate::driver::Driver;
use crate::failure::Failure;
use crate::sensor::Sensors;
use crate::{orders, plan, print};

/// Between two looks at everything: a fraction of what a resume may take.
const TICK: Duration = Duration::from_millis(200);
/// How often the status is written.
const SHOW_NANOS: u64 = 2_000_000_000;

pub(crate) fn run(file: &Path, once: bool, apply: bool, within: u64) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    if !apply {
        return dry_run(&config, once);
    }
    let stop = stop()?;
    let ec2 = Ec2::start(config.aws.clone());
    let ec2 = ec2.map_err(|error| Failure::Failed(error.to_string()))?;
    let mut sensors = Sensors::watch(&config.sockets)?;
    let folder = config.folder.clone();
    let mut driver = Driver::new(config, ec2, wall()).map_err(Failure::Failed)?;
    let begun = wall();
    let mut shown = Timestamp::ZERO;
    let settled = loop {
        let now = wall();
        while let Some(report) = sensors.poll() {
            driver.handle_report(&report, now);
        }
        if let Some(order) = orders::take(&folder) {
            tracing::warn!(?order, "somebody ordered");
            driver.handle_command(order.command(), now);
        }
        driver.tick(now);
        if let Some(table) = driver.poll_bind_table() {
            sensors.bind(&table);
        }
        while let Some(notice) = driver.poll_notice() {
            tracing::info!(?notice);
        }
        if now.nanos_since(shown) >= SHOW_NANOS || now < shown {
            shown = now;
            driver.show(now);
        }
        if once {
            if driver.is_settled() {
                break true;
            }
            driver.hurry(now);
        }
        let late = now.nanos_since(begun) > within.saturating_mul(1_000_000_000);
        if stop.load(Ordering::Relaxed) || (once && late) {
            break !once;
        }
        driver.wait(TICK);
    };
    driver.show(wall());
    driver.close();
    if !settled {
        let state = driver.state(wall());
        let why = state.last_error.unwrap_or_else(|| "see status".to_owned());
        return Err(Failure::Failed(format!(
            "not everything is as it should be: {why}"
        )));
    }
    if once {
        print(&plan::summary(&driver.state(wall())))?;
    }
    Ok(())
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

/// Set by SIGINT and SIGTERM.
pub(crate) fn stop() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::Failed(format!("signals: {error}")))?;
    }
    Ok(stop)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
