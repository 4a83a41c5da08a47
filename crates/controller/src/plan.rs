//! `plan`: what would be done, line by line, and what the sessions cost a month.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use vxscope_control::mirror::{Session, Settings};
use vxscope_ec2::wall;
use vxscope_enrolment::inventory::{Inventory, TargetPlace};
use vxscope_enrolment::lead::owned;
use vxscope_enrolment::{Enroller, FindingKind, Missing, Plan, Seen, SensorPlace, Slot, agent};
use vxscope_policy::strategy::MONTH_HOURS;

use crate::config::Config;
use crate::desk::Desk;
use crate::driver::State;
use crate::failure::Failure;
use crate::print;
use crate::store::{Remembered, read_json};

/// What would be done.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Diff {
    create: Vec<String>,
    modify: Vec<String>,
    delete: Vec<String>,
    /// Who takes turns, and who of them waits.
    turns: Vec<String>,
    make: Vec<String>,
    /// Commands for machines that EC2 does not mirror.
    agents: Vec<String>,
    unchanged: usize,
    untagged: usize,
    findings: Vec<String>,
    sessions: usize,
    usd_per_month_low: f64,
    usd_per_month_high: f64,
    prices_of: String,
}

pub(crate) fn run(file: &Path, json: bool) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    let diff = diff(&config)?;
    if json {
        let text = serde_json::to_string(&diff);
        let text = text.map_err(|error| Failure::Failed(error.to_string()))?;
        return print(&format!("{text}\n"));
    }
    print(&diff.text())
}

/// The plan for people.
pub(crate) fn text(config: &Config) -> Result<String, Failure> {
    Ok(diff(config)?.text())
}

fn diff(config: &Config) -> Result<Diff, Failure> {
    let mut desk = Desk::open(config.clone())?;
    let finding = desk.look_for_names();
    let inventory = desk.account()?;
    let config = desk.config.clone();
    let path = config.folder.join("enrolment.json");
    let remembered: Option<Remembered> = read_json(&path).map_err(Failure::Failed)?;
    let memory = remembered.unwrap_or_default().memory;
    let mut enroller = Enroller::new(config.enrolment.clone(), memory);
    let mut seen = Seen {
        sensors: config.sensors.clone(),
        ..Seen::default()
    };
    seen.look(&inventory);
    let mut plan = enroller.plan(&inventory, &seen, wall());
    plan.tell(desk.preflight(&inventory, &seen, &plan));
    plan.tell(finding);
    Ok(Diff::of(&config, &inventory, &plan))
}

impl Diff {
    fn of(config: &Config, inventory: &Inventory, plan: &Plan) -> Self {
        let owner = &config.enrolment.owner;
        let mut diff = Self {
            untagged: plan.untagged,
            prices_of: config.enrolment.prices.as_of().to_owned(),
            ..Self::default()
        };
        let mut ours: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
        for session in owned(inventory, owner) {
            ours.entry(&session.interface).or_default().push(session);
        }
        for source in &plan.sources {
            let wanted = &source.subject.saved.settings;
            let there = ours.get(source.interface.as_str());
            let there = there.and_then(|sessions| sessions.first());
            let name = source.name.as_deref().unwrap_or("");
            let head = format!("{} {name} ", source.interface);
            if source.slot != Slot::Own {
                let place = if source.slot == Slot::Turn {
                    "has its turn"
                } else {
                    "waits for its turn"
                };
                diff.turns.push(format!("{head}{place}"));
            }
            match there {
                None if source.slot == Slot::Waits => {}
                Some(session) if source.slot == Slot::Waits => {
                    let id = &session.id;
                    diff.delete
                        .push(format!("{} ({id}) its turn is over", source.interface));
                }
                None => diff.create.push(format!("{head}{}", described(wanted))),
                Some(session) => match changes(wanted, session) {
                    changes if changes.is_empty() => diff.unchanged += 1,
                    changes => {
                        let changes = changes.join(", ");
                        diff.modify
                            .push(format!("{head}({}) {changes}", session.id));
                    }
                },
            }
        }
        for interface in &plan.leaving {
            let sessions = ours.get(interface.as_str()).into_iter().flatten();
            diff.delete
                .extend(sessions.map(|session| format!("{interface} ({})", session.id)));
        }
        diff.make(plan);
        let told = plan.findings.iter();
        let told = told.filter(|finding| finding.is_told());
        diff.findings = told.map(ToString::to_string).collect();
        let unsupported = plan.findings.iter();
        let unsupported = unsupported.filter(|one| one.kind == FindingKind::Unsupported);
        let (sensor, vni) = (address_of(config, inventory), free_vni(inventory));
        diff.agents = unsupported
            .map(|one| agent(&one.about, &sensor, vni))
            .collect();
        let have = plan.sources.iter().filter(|one| one.slot != Slot::Waits);
        diff.sessions = have.count();
        let hour = config
            .enrolment
            .prices
            .card(&inventory.region)
            .session_hour();
        #[expect(clippy::cast_precision_loss, reason = "shown to a cent")]
        let hours = diff.sessions as f64 * MONTH_HOURS as f64;
        diff.usd_per_month_low = hour.low.scaled(hours).dollars();
        diff.usd_per_month_high = hour.high.scaled(hours).dollars();
        diff
    }

    fn make(&mut self, plan: &Plan) {
        for need in &plan.targets {
            let (kind, id) = (need.place.kind(), need.place.id());
            self.make
                .push(format!("target {kind} {id} for {}", need.sensor));
        }
        for need in &plan.filters {
            let name = &need.filter.name;
            let rules = need.filter.rules.len();
            self.make.push(match &need.missing {
                Missing::All => format!("filter \"{name}\" with {rules} rules"),
                Missing::Rest { id, rules, .. } => {
                    format!("filter \"{name}\" ({id}): {} rules", rules.len())
                }
            });
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (sign, lines) in [
            ("make  ", &self.make),
            ("+ create", &self.create),
            ("~ modify", &self.modify),
            ("- delete", &self.delete),
            ("turn  ", &self.turns),
            ("!", &self.findings),
        ] {
            for line in lines {
                let _ = writeln!(text, "{sign} {line}");
            }
        }
        self.agents
            .iter()
            .for_each(|commands| text.push_str(commands));
        let _ = writeln!(
            text,
            "{} to create, {} to modify, {} to delete, {} as they should be; {} interfaces \
             without tag",
            self.create.len(),
            self.modify.len(),
            self.delete.len(),
            self.unchanged,
            self.untagged
        );
        let _ = writeln!(
            text,
            "{} sessions: ${:.2} to ${:.2} a month for session-hours (prices of {}), data apart",
            self.sessions, self.usd_per_month_low, self.usd_per_month_high, self.prices_of
        );
        text
    }
}

/// Where copies can be sent to, if an interface takes them.
fn address_of(config: &Config, inventory: &Inventory) -> String {
    let address = config.sensors.iter().find_map(|sensor| {
        let SensorPlace::Place(TargetPlace::Interface(id)) = &sensor.place else {
            return None;
        };
        inventory.interfaces.get(id)?.primary
    });
    address.map_or_else(|| "SENSOR".to_owned(), |address| address.to_string())
}

/// A network that no session uses.
fn free_vni(inventory: &Inventory) -> u32 {
    let sessions = inventory.sessions.values();
    let taken: BTreeSet<u32> = sessions.filter_map(|one| one.settings.vni).collect();
    (1..).find(|vni| !taken.contains(vni)).unwrap_or(1)
}

fn described(wanted: &Settings) -> String {
    let vni = wanted
        .vni
        .map_or(String::new(), |vni| format!(" vni {vni}"));
    format!(
        "to {} filter {} number {}{vni}",
        wanted.target, wanted.filter, wanted.number
    )
}

/// What differs, as `name: there -> wanted`.
fn changes(wanted: &Settings, session: &Session) -> Vec<String> {
    let differences = wanted.differences(&session.settings);
    let told = differences.iter();
    told.map(|one| format!("{}: {} -> {}", one.field, one.found, one.wanted))
        .collect()
}

/// How it stands, in a few lines.
pub(crate) fn summary(state: &State) -> String {
    let mut grades = BTreeMap::new();
    for source in &state.sources {
        let grade = source.grade.as_deref().unwrap_or("unknown");
        *grades.entry(grade).or_insert(0_usize) += 1;
    }
    let grades: Vec<String> = grades
        .iter()
        .map(|(grade, count)| format!("{count} {grade}"))
        .collect();
    let blocked = state.sources.iter().filter(|one| one.blocked.is_some());
    let mut text = format!(
        "{} sources ({}), {} blocked, {} open; mode {}\n",
        state.sources.len(),
        grades.join(", "),
        blocked.count(),
        state.open,
        state.mode
    );
    if !state.waiting.is_empty() {
        let _ = writeln!(text, "{} wait for their turn", state.waiting.len());
    }
    match (state.standing.as_str(), &state.holder) {
        ("watches", Some(holder)) => {
            let _ = writeln!(text, "watching: {holder} acts");
        }
        ("watches", None) => text.push_str("watching: nobody is known to act\n"),
        ("raises", _) => text.push_str("bringing back: the bucket does not say who acts\n"),
        _ => {}
    }
    let problems = [
        &state.lease_problem,
        &state.hint_problem,
        &state.metrics_problem,
    ];
    for problem in problems.into_iter().flatten() {
        let _ = writeln!(text, "{problem}");
    }
    if let Some(reason) = &state.held {
        let _ = writeln!(text, "STOPPED: {reason}; `release` lets it go on");
    }
    for sensor in &state.silent_sensors {
        let _ = writeln!(
            text,
            "SILENT: {sensor} does not answer on its control socket"
        );
    }
    if let Some(error) = &state.last_error {
        let _ = writeln!(text, "last error: {error}");
    }
    text
}
