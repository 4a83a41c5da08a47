//! The file as it is written, and what becomes of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vxscope_control::reconcile::Owner;
use vxscope_log::Format;

use super::Config;
use super::limits::{RawLease, RawLimits, lease, limits};
use super::mirroring::{RawMirroring, enrolment, prices, rules};
use super::target::{RawTarget, sensor};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    aws: RawAws,
    owner: RawOwner,
    mirroring: RawMirroring,
    target: Option<RawTarget>,
    sensor: Vec<RawTarget>,
    limits: RawLimits,
    lease: RawLease,
    assurance: RawAssurance,
    hint: RawHint,
    reaper: RawReaper,
    state: RawState,
    log: RawLog,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAws {
    region: Option<String>,
    endpoint_url: Option<String>,
    credentials_file: Option<PathBuf>,
    connect_timeout_seconds: Option<u64>,
    call_timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawOwner {
    name: String,
}

impl Default for RawOwner {
    fn default() -> Self {
        Self {
            name: "vxscope".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAssurance {
    metrics_per_hour: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawHint {
    queue_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawReaper {
    heartbeat_seconds: Option<u64>,
    key_file: Option<PathBuf>,
    never_off: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawLog {
    format: RawFormat,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawState {
    folder: Option<PathBuf>,
}

impl Raw {
    pub(super) fn check(self, folder: &Path) -> Result<Config, Vec<String>> {
        let mut problems = Vec::new();
        let owner = owner(&self.owner.name, &mut problems);
        let rules = rules(&self.mirroring, folder, &mut problems);
        let prices = prices(&self.mirroring, folder, &mut problems);
        let raw = self.target.into_iter().chain(self.sensor);
        let (mut sockets, mut local) = (Vec::new(), Vec::new());
        let mut sensors = Vec::new();
        for (at, one) in raw.enumerate() {
            let socket = one.control_socket.clone();
            let sensor = sensor(one, at, &mut problems);
            local.extend(
                socket
                    .as_ref()
                    .and(sensor.as_ref())
                    .map(|it| it.name.clone()),
            );
            sockets.extend(
                sensor
                    .iter()
                    .filter_map(|it| Some((it.name.clone(), socket.clone()?))),
            );
            sensors.extend(sensor);
        }
        if sensors.is_empty() && problems.is_empty() {
            problems.push(
                "nobody takes copies: name [target] network_interface = \"eni-…\"".to_owned(),
            );
        }
        let limits = limits(&self.limits, &mut problems);
        let names_mode = self.mirroring.mode.is_some() || self.mirroring.policy.is_some();
        let sta_conf = self.mirroring.sta_conf.as_ref();
        let sta_conf = sta_conf.map(|file| folder.join(file));
        let (Some(rules), Some(prices), true) = (rules, prices, problems.is_empty()) else {
            return Err(problems);
        };
        let enrolment = enrolment(self.mirroring, owner, rules, prices, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let aws = vxscope_ec2::Settings::default();
        let bucket = enrolment.selection.bucket.as_ref();
        let lease = bucket.map(|_| {
            let calls = self.aws.call_timeout_seconds;
            lease(
                &self.lease,
                calls.map_or(aws.call_timeout, Duration::from_secs),
            )
        });
        let lease = lease.transpose().map_err(|problem| vec![problem])?;
        let state = self.state.folder;
        let state = state.unwrap_or_else(|| PathBuf::from("/var/lib/vxscope-controller"));
        let seconds = |given: Option<u64>, otherwise| given.map_or(otherwise, Duration::from_secs);
        Ok(Config {
            log: match self.log.format {
                RawFormat::Text => Format::Text,
                RawFormat::Json => Format::Json,
            },
            aws: vxscope_ec2::Settings {
                region: self.aws.region,
                endpoint: self.aws.endpoint_url,
                credentials_file: self.aws.credentials_file,
                connect_timeout: seconds(self.aws.connect_timeout_seconds, aws.connect_timeout),
                call_timeout: seconds(self.aws.call_timeout_seconds, aws.call_timeout),
                readings: aws.readings,
                waits: aws.waits,
            },
            enrolment,
            names_mode,
            sta_conf,
            sensors,
            sockets,
            local,
            limits,
            lease,
            metrics_per_hour: self.assurance.metrics_per_hour,
            queue: self.hint.queue_url,
            reaper_max: (!self.reaper.never_off)
                .then(|| seconds(self.reaper.heartbeat_seconds, Duration::from_secs(180))),
            key_file: self
                .reaper
                .key_file
                .unwrap_or_else(|| state.join("breadcrumb.key")),
            folder: state,
        })
    }
}

fn owner(name: &str, problems: &mut Vec<String>) -> Owner {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        problems.push("owner.name: 1 to 64 letters, digits, -, _ or .".to_owned());
    }
    Owner {
        tag: "managed-by".to_owned(),
        value: name.to_owned(),
        marker: format!("{name}: mirrors "),
    }
}
