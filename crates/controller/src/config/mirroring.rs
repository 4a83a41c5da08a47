//! `[mirroring]`: who is mirrored, by which rules, and what it may cost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vxscope_control::reconcile::Owner;
use vxscope_enrolment::{INDICATOR, Selection, Settings, TagMatch, VniChoice, WhenStopped};
use vxscope_policy::Usd;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Mode, RawRules, Rules};

use super::read;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMirroring {
    pub(super) mode: Option<String>,
    pub(super) tag_key: Option<String>,
    pub(super) indicator_tag: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) sta_conf: Option<PathBuf>,
    pub(super) require: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) subnets: BTreeSet<String>,
    pub(super) vpcs: BTreeSet<String>,
    pub(super) junctions: BTreeMap<String, String>,
    pub(super) role_key: Option<String>,
    pub(super) stopped: Option<String>,
    pub(super) session_number: Option<u16>,
    pub(super) vni: Option<u32>,
    pub(super) packet_length: Option<u16>,
    pub(super) truncated_length: Option<u16>,
    pub(super) policy: Option<PathBuf>,
    pub(super) prices: Option<PathBuf>,
    pub(super) max_sessions: Option<u32>,
    pub(super) max_usd_per_month: Option<f64>,
    pub(super) wait_minutes: Option<u64>,
    pub(super) leave_percent: Option<u32>,
}

pub(super) fn rules(
    raw: &RawMirroring,
    folder: &Path,
    problems: &mut Vec<String>,
) -> Option<Rules> {
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

pub(super) fn prices(
    raw: &RawMirroring,
    folder: &Path,
    problems: &mut Vec<String>,
) -> Option<PriceTable> {
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

pub(super) fn enrolment(
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
