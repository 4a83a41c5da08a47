//! The controller's file: TOML that only root writes, read whole or not at all.
//!
//! `[mirroring] mode`, `tag_key` and `[target] network_interface` are enough; everything else has
//! a default. What bounds blindness and cost is only here, never in a bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vxscope_config::{HandlingMode, StaConf};
use vxscope_control::reconcile::{Limits, Owner};
use vxscope_enrolment::inventory::TargetPlace;
use vxscope_enrolment::lead::LeaseTerms;
use vxscope_enrolment::preflight::Host;
use vxscope_enrolment::{
    INDICATOR, Selection, Sensor, SensorPlace, Settings, TagMatch, VniChoice, WhenStopped,
};
use vxscope_policy::Usd;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Mode, RawRules, Rules};

use crate::host::here;

/// Everything that a run needs.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) aws: vxscope_ec2::Settings,
    /// As this file says it; see [`Config::settings`] for what holds.
    pub(crate) enrolment: Settings,
    /// Whether this file names a mode.
    names_mode: bool,
    /// A `sta.conf` beside the bucket's.
    pub(crate) sta_conf: Option<PathBuf>,
    pub(crate) sensors: Vec<Sensor>,
    /// Sensors that have a control socket, by name.
    pub(crate) sockets: Vec<(String, PathBuf)>,
    /// The names of those sensors, which are on this machine.
    local: Vec<String>,
    pub(crate) limits: Limits,
    /// How long a lease lasts, where there is a bucket for it.
    pub(crate) lease: Option<LeaseTerms>,
    /// Metrics of CloudWatch that may be asked for: each is billed.
    pub(crate) metrics_per_hour: u32,
    /// A queue of events that tell that the account is worth a look, by its URL.
    pub(crate) queue: Option<String>,
    /// How old a heartbeat of the reaper may be; `None`: sources are never off.
    pub(crate) reaper_max: Option<Duration>,
    /// Seals what is left in the account.
    pub(crate) key_file: PathBuf,
    /// Where the journal is.
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
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
struct RawMirroring {
    mode: Option<String>,
    tag_key: Option<String>,
    indicator_tag: Option<String>,
    bucket: Option<String>,
    sta_conf: Option<PathBuf>,
    require: Vec<String>,
    exclude: Vec<String>,
    subnets: BTreeSet<String>,
    vpcs: BTreeSet<String>,
    junctions: BTreeMap<String, String>,
    role_key: Option<String>,
    stopped: Option<String>,
    session_number: Option<u16>,
    vni: Option<u32>,
    packet_length: Option<u16>,
    truncated_length: Option<u16>,
    policy: Option<PathBuf>,
    prices: Option<PathBuf>,
    max_sessions: Option<u32>,
    max_usd_per_month: Option<f64>,
    wait_minutes: Option<u64>,
    leave_percent: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTarget {
    name: Option<String>,
    instance: Option<String>,
    network_interface: Option<String>,
    network_load_balancer: Option<String>,
    gateway_endpoint: Option<String>,
    target: Option<String>,
    weight: Option<u32>,
    control_socket: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawLimits {
    calls_at_once: Option<u32>,
    calls_per_second: Option<f64>,
    describe_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawLease {
    seconds: Option<u64>,
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
struct RawState {
    folder: Option<PathBuf>,
}

impl Config {
    /// Reads the file and those that it names.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = read(path).map_err(|problem| vec![problem])?;
        let of_file = |problem: String| format!("{}: {problem}", path.display());
        let raw: Raw = toml::from_str(&text).map_err(|error| vec![of_file(error.to_string())])?;
        let checked = raw.check(path.parent().unwrap_or_else(|| Path::new("")));
        checked.map_err(|problems| problems.into_iter().map(of_file).collect())
    }

    /// What this machine tells of itself, for each sensor on it.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        self.local.iter().filter_map(|name| here(name)).collect()
    }

    /// What holds with this `sta.conf`: names where ours has none, and a mode that never lowers
    /// more than ours lets it. Nothing else of it.
    pub(crate) fn settings(&self, conf: Option<&StaConf>) -> Settings {
        let mut settings = self.enrolment.clone();
        let Some(conf) = conf else {
            return settings;
        };
        settings.selection = settings.selection.named_by(
            conf.tag_key.clone(),
            conf.indicator_key.clone(),
            conf.role_key.clone(),
        );
        let ours = if self.names_mode {
            settings.rules.mode
        } else {
            Mode::Dynamic
        };
        settings.rules.mode = match conf.mode {
            HandlingMode::Manual => Mode::Manual,
            HandlingMode::Dynamic => ours,
        };
        settings
    }
}

impl Raw {
    fn check(self, folder: &Path) -> Result<Config, Vec<String>> {
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

fn rules(raw: &RawMirroring, folder: &Path, problems: &mut Vec<String>) -> Option<Rules> {
    let mut rules = Rules::default();
    if let Some(file) = &raw.policy {
        let file = folder.join(file);
        let parsed = read(&file).and_then(|text| {
            let raw: Result<RawRules, _> = toml::from_str(&text);
            let raw = raw.map_err(|error| format!("{}: {error}", file.display()))?;
            raw.check()
                .map_err(|errors| format!("{}: {errors}", file.display()))
        });
        match parsed {
            Ok(parsed) => rules = parsed,
            Err(problem) => problems.push(problem),
        }
    }
    match raw.mode.as_deref() {
        None if raw.policy.is_some() => {}
        None => rules.mode = Mode::Manual,
        Some(text) => match text.to_ascii_lowercase().as_str() {
            "manual" => rules.mode = Mode::Manual,
            "shadow" => rules.mode = Mode::Shadow,
            "dynamic" => rules.mode = Mode::Dynamic,
            _ => problems.push(format!(
                "mirroring.mode: `{text}` is none of manual, shadow, dynamic"
            )),
        },
    }
    problems.is_empty().then_some(rules)
}

fn prices(raw: &RawMirroring, folder: &Path, problems: &mut Vec<String>) -> Option<PriceTable> {
    let published = PriceTable::published();
    let table = match &raw.prices {
        None => published,
        Some(file) => {
            let text = read(&folder.join(file)).map_err(|problem| vec![problem]);
            published.and_then(|table| table.with(&text?))
        }
    };
    table.map_err(|wrong| problems.extend(wrong)).ok()
}

fn sensor(raw: RawTarget, at: usize, problems: &mut Vec<String>) -> Option<Sensor> {
    let places = [
        raw.network_interface
            .map(|id| SensorPlace::Place(TargetPlace::Interface(id))),
        raw.network_load_balancer
            .map(|arn| SensorPlace::Place(TargetPlace::NetworkLoadBalancer(arn))),
        raw.gateway_endpoint
            .map(|id| SensorPlace::Place(TargetPlace::GatewayEndpoint(id))),
        raw.target.map(SensorPlace::Target),
    ];
    let mut places: Vec<SensorPlace> = places.into_iter().flatten().collect();
    let (Some(place), true) = (places.pop(), places.is_empty()) else {
        problems.push(format!(
            "target {}: exactly one of network_interface, network_load_balancer, \
             gateway_endpoint, target",
            at + 1
        ));
        return None;
    };
    Some(Sensor {
        name: raw.name.unwrap_or_else(|| format!("sensor-{}", at + 1)),
        instance: raw.instance,
        place,
        weight: raw.weight.unwrap_or(1),
        alive: true,
    })
}

fn limits(raw: &RawLimits, problems: &mut Vec<String>) -> Limits {
    let limits = Limits::default();
    let per_second = raw.calls_per_second.map(|rate| rate * 1_000.0);
    if per_second.is_some_and(|milli| !(1.0..=1_000_000.0).contains(&milli)) {
        problems.push("limits.calls_per_second: 0.001 to 1000".to_owned());
    }
    let describe = raw.describe_seconds.map(Duration::from_secs);
    if raw.describe_seconds == Some(0) {
        problems.push("limits.describe_seconds: at least 1".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    let milli = per_second.map(|milli| milli as u64);
    Limits {
        burst: raw.calls_at_once.unwrap_or(limits.burst),
        rate_milli: milli.unwrap_or(limits.rate_milli),
        describe_every: describe.unwrap_or(limits.describe_every),
    }
}

/// The calls of a holder that lost its lease have ended when the next one begins: two that wait for
/// each other take twice as long as one.
fn lease(raw: &RawLease, call_timeout: Duration) -> Result<LeaseTerms, String> {
    let term = raw
        .seconds
        .map_or_else(|| LeaseTerms::default().term, Duration::from_secs);
    let terms = LeaseTerms {
        term,
        beat: term / 6,
        call_max: 2 * call_timeout,
        drift: term / 30,
    };
    let least = terms.call_max + terms.drift + 2 * terms.beat;
    if term <= least {
        return Err(format!(
            "lease.seconds: more than {} with aws.call_timeout_seconds of {}",
            least.as_secs(),
            call_timeout.as_secs()
        ));
    }
    Ok(terms)
}

fn enrolment(
    raw: RawMirroring,
    owner: Owner,
    rules: Rules,
    prices: PriceTable,
    problems: &mut Vec<String>,
) -> Settings {
    let tags = |texts: Vec<String>| texts.iter().map(|text| TagMatch::parse(text)).collect();
    let selection = Selection {
        tag_key: raw.tag_key,
        indicator: raw.indicator_tag.unwrap_or_else(|| INDICATOR.to_owned()),
        bucket: raw.bucket,
        require: tags(raw.require),
        exclude: tags(raw.exclude),
        subnets: raw.subnets,
        vpcs: raw.vpcs,
        junctions: raw.junctions,
        stopped: match raw.stopped.as_deref() {
            None | Some("remove") => WhenStopped::Remove,
            Some("report") => WhenStopped::Report,
            Some(other) => {
                problems.push(format!(
                    "mirroring.stopped: `{other}` is none of remove, report"
                ));
                WhenStopped::Report
            }
        },
        ..Selection::default()
    };
    let selection = Selection {
        role_key: raw.role_key.unwrap_or(selection.role_key),
        ..selection
    };
    let mut within = |name: &str, value: Option<u32>, least: u32, most: u32| {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            problems.push(format!("mirroring.{name}: {least} to {most}"));
        }
    };
    within(
        "session_number",
        raw.session_number.map(u32::from),
        1,
        32_766,
    );
    within("vni", raw.vni, 1, (1 << 24) - 1);
    // 8,500 is what EC2 calls whole frames to a load balancer: leave the key out instead.
    within("packet_length", raw.packet_length.map(u32::from), 55, 8_499);
    within(
        "truncated_length",
        raw.truncated_length.map(u32::from),
        55,
        8_499,
    );
    within("leave_percent", raw.leave_percent, 0, 100);
    let defaults = Settings::new(owner, prices);
    let usd = raw.max_usd_per_month.map(Usd::from_dollars);
    Settings {
        selection,
        rules,
        first_number: raw.session_number.unwrap_or(defaults.first_number),
        vni: raw.vni.map_or(VniChoice::Unique, VniChoice::Fixed),
        packet_length: raw.packet_length,
        truncated: raw.truncated_length.unwrap_or(defaults.truncated),
        sessions_max: raw.max_sessions.unwrap_or(defaults.sessions_max),
        usd_per_month_max: usd,
        wait: raw
            .wait_minutes
            .map_or(defaults.wait, |minutes| Duration::from_secs(60 * minutes)),
        leave_percent: raw.leave_percent.unwrap_or(defaults.leave_percent),
        ..defaults
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys_are_enough() {
        let config = parse(
            "[mirroring]\nmode = \"manual\"\ntag_key = \"mirror\"\n\
             [target]\nnetwork_interface = \"eni-1\"\n",
        );
        let config = config.unwrap();
        assert_eq!(
            config.enrolment.selection.tag_key.as_deref(),
            Some("mirror")
        );
        assert_eq!(config.sensors.len(), 1);
        assert_eq!(config.enrolment.rules.mode, Mode::Manual);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problems = parse(
            "[mirroring]\nmode = \"sometimes\"\n[owner]\nname = \"\"\n[target]\nweight = 2\n",
        );
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        let unknown = parse("[mirroring]\nfilter = 1\n").unwrap_err();
        assert!(unknown[0].contains("unknown field"), "{unknown:?}");
    }

    #[test]
    fn a_sta_conf_chooses_names_and_never_lowers_more_than_ours() {
        let conf = |mode: &str| {
            let text = format!(
                r#"{{"automations": {{"vpc-mirroring-auto-handler": {{
                    "mirror_handling_mode": "{mode}", "mirror_filter_tagname": "theirs",
                    "role_tagname": "app"}}}}}}"#
            );
            StaConf::parse(&text).unwrap()
        };
        let settings = |ours: &str, theirs: &str| {
            let target = "[target]\nnetwork_interface = \"eni-1\"\n";
            let config = parse(&format!("[mirroring]\n{ours}\n{target}")).unwrap();
            config.settings(Some(&conf(theirs)))
        };
        for (ours, theirs, holds) in [
            ("", "MANUAL", Mode::Manual),
            ("", "DYNAMIC", Mode::Dynamic),
            ("mode = \"manual\"", "DYNAMIC", Mode::Manual),
            ("mode = \"shadow\"", "DYNAMIC", Mode::Shadow),
            ("mode = \"shadow\"", "MANUAL", Mode::Manual),
            ("mode = \"dynamic\"", "DYNAMIC", Mode::Dynamic),
            ("mode = \"dynamic\"", "MANUAL", Mode::Manual),
        ] {
            let settings = settings(ours, theirs);
            assert_eq!(settings.rules.mode, holds, "{ours} {theirs}");
            assert_eq!(settings.selection.tag_key.as_deref(), Some("theirs"));
            assert_eq!(settings.selection.role_key, "app");
        }
        let ours = settings("tag_key = \"ours\"\nrole_key = \"r\"", "MANUAL").selection;
        assert_eq!(
            (ours.tag_key.as_deref(), &*ours.role_key),
            (Some("ours"), "r")
        );
    }

    fn parse(text: &str) -> Result<Config, Vec<String>> {
        let raw: Raw = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        raw.check(Path::new(""))
    }
}
