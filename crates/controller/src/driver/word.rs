//! What sensors are told: which sources there are, and how their mirrors stand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use vxscope_enrolment::inventory::TargetPlace;
use vxscope_enrolment::{Sensor, SensorPlace, Weight};
use vxscope_log::TOLD;
use vxscope_report::{MirrorRow, Oversight, Reasons};
use vxscope_steward::{Decided, Notice};
use vxscope_units::{BindTable, Grade, Timestamp};

use super::Driver;
use super::grades::{Grades, Key};
use crate::sensor::Pulse;

/// Longest name that a sensor takes.
const NAME_MAX: usize = 64;
/// How often sensors are told how mirrors stand, where nothing changes.
const SHOW_NANOS: u64 = 30_000_000_000;
/// The same where something does.
const SOON_NANOS: u64 = 500_000_000;

/// The table as a request; names of instances are cut to what a sensor takes.
pub(crate) fn bind_table(table: &BindTable) -> String {
    let sources = table.bindings().iter().map(|one| {
        let name = one.name.as_deref().unwrap_or_default();
        let name: String = name.chars().filter(|it| !it.is_control()).collect();
        let name: String = name.chars().take(NAME_MAX).collect();
        json!({
            "address": one.prefix.to_string(),
            "vni": one.vni.map(|vni| vni.get()),
            "name": (!name.is_empty()).then_some(name),
            "eni": one.eni,
            "instance": one.instance,
            "vpc": one.vpc,
            "account": one.account,
        })
    });
    let sources: Vec<_> = sources.collect();
    json!({"set": "bind_table", "sources": sources}).to_string()
}

/// What became of wishes, by reason.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    granted: Reasons,
    refused: Reasons,
    forced: Reasons,
}

impl Outcomes {
    pub(super) fn count(&mut self, notice: &Notice) {
        let counts = match notice.decided {
            Decided::Granted(_) => &mut self.granted,
            Decided::Refused(..) => &mut self.refused,
            Decided::Forced { .. } => &mut self.forced,
            Decided::Imagined(_)
            | Decided::Kept(_)
            | Decided::Alerted { .. }
            | Decided::Effective(_) => return,
        };
        *counts.entry(notice.reason().to_owned()).or_default() += 1;
    }
}

/// When sensors were told last, and what is to be told.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) outcomes: Outcomes,
    /// Something may have changed.
    pub(super) is_new: bool,
    told_at: Timestamp,
    /// Sensors that do not answer.
    pub(super) silent: BTreeSet<String>,
}

impl Driver {
    /// For each sensor how the mirrors stand whose copies go there, as a request; nothing if it
    /// is too early to say anything again.
    #[must_use]
    pub(crate) fn poll_oversight(&mut self, now: Timestamp) -> Vec<(String, String)> {
        let since = now.nanos_since(self.words.told_at);
        let wait = if self.words.is_new {
            SOON_NANOS
        } else {
            SHOW_NANOS
        };
        let waits = since < wait && now >= self.words.told_at;
        if waits || self.inventory.is_none() || self.config.sockets.is_empty() {
            return Vec::new();
        }
        self.words.told_at = now;
        self.words.is_new = false;
        self.regrade(now);
        let sensors = self.seen.sensors.iter();
        let told = sensors.filter_map(|sensor| {
            let target = self.target_of(sensor)?;
            let oversight = self.oversight(target, now);
            let request = json!({"set": "oversight", "oversight": oversight});
            Some((sensor.name.clone(), request.to_string()))
        });
        told.collect()
    }

    /// What each source has, and why.
    fn regrade(&mut self, now: Timestamp) {
        let now = now.as_nanos() / 1_000;
        let mut here = BTreeSet::new();
        for (interface, known) in &self.known {
            let mirror = known.mirror;
            let key = Key::new(mirror, known.target());
            // While nobody knows what it has, what was known before stays.
            here.insert(key.clone());
            let Some(grade) = self.steward.effective(mirror) else {
                continue;
            };
            let granted = self.steward.granted(mirror);
            let blocked = self.steward.blocked(mirror).map(|kind| kind.name());
            let reason = match granted {
                Some(granted) if grade < granted => blocked.unwrap_or("no_session"),
                _ => self.steward.why(mirror).unwrap_or_default(),
            };
            self.grades.tell(key, interface, (grade, reason), now);
        }
        let findings = &self.plan.findings;
        let held = self.held.is_some();
        self.grades.leave(&here, now, |interface| {
            let finding = findings.iter().find(|one| one.about == interface);
            let blind = finding.filter(|one| one.kind.weight() == Weight::Blind);
            match blind {
                _ if held => "stopped",
                Some(finding) => finding.kind.name(),
                None => "removed",
            }
        });
        if self.grades != self.grades_kept {
            match self.store.show(Grades::FILE, &self.grades) {
                Ok(()) => self.grades_kept = self.grades.clone(),
                Err(error) => {
                    tracing::warn!(%error, "since when mirrors are as they are will be forgotten");
                }
            }
        }
    }

    fn oversight(&self, target: &str, now: Timestamp) -> Oversight {
        let rows = self.steward.rows(now);
        let mut rows: BTreeMap<_, MirrorRow> = rows.map(|row| (row.key(), row)).collect();
        let mirrors = self.grades.of(target).map(|(key, told)| {
            let row = rows.remove(&(key.outer_ip, key.vni));
            MirrorRow {
                outer_ip: key.outer_ip,
                vni: key.vni,
                interface: told.interface.clone(),
                grade: told.grade.clone(),
                since: told.since,
                pinned: row.as_ref().is_some_and(|row| row.pinned),
                reason: told.reason.clone(),
                sentence: String::new(),
                // Who parses what attackers send does not learn when nobody looks.
                until: None,
                blind: row.map_or_else(Vec::new, |row| row.blind),
            }
        });
        let mirrors: Vec<MirrorRow> = mirrors.collect();
        let lowered = |row: &&MirrorRow| row.grade != Grade::Full.name();
        let total = self.steward.ledger().total(now);
        let (spent, saved) = (total.spent(), total.saved());
        Oversight {
            mode: self.config.enrolment.rules.mode.name().to_owned(),
            time: now.as_nanos() / 1_000,
            sources: mirrors.len() as u64,
            lowered: mirrors.iter().filter(lowered).count() as u64,
            granted: self.words.outcomes.granted.clone(),
            refused: self.words.outcomes.refused.clone(),
            forced: self.words.outcomes.forced.clone(),
            overrun_max_seconds: self.steward.keeper().guard().overrun_max().as_secs_f64(),
            spent_usd: (spent.low.dollars(), spent.high.dollars()),
            saved_usd: (saved.low.dollars(), saved.high.dollars()),
            decisions_forgotten: self.steward.notices_forgotten(),
            mirrors,
            ..Oversight::default()
        }
    }

    /// The target whose copies a sensor receives, if it is there.
    fn target_of(&self, sensor: &Sensor) -> Option<&str> {
        let targets = &self.inventory.as_ref()?.targets;
        match &sensor.place {
            SensorPlace::Target(id) => targets.get(id).map(|one| one.id.as_str()),
            SensorPlace::Place(place) => {
                let mut there = targets.values().filter(|one| one.place == *place);
                there.next().map(|one| one.id.as_str())
            }
        }
    }

    /// A sensor answers, or no longer does. Behind a balancer there may be others, so there only
    /// an interface dies with its sensor.
    pub(crate) fn handle_pulse(&mut self, name: &str, pulse: Pulse, now: Timestamp) {
        let told = self.words.silent.contains(name);
        if pulse.is_silent() && !told {
            tracing::error!(target: TOLD, sensor = name, "does not answer: what it sees is unknown");
            self.words.silent.insert(name.to_owned());
        } else if !pulse.is_silent() && told {
            tracing::warn!(target: TOLD, sensor = name, "answers again");
            self.words.silent.remove(name);
        }
        let alive = pulse.is_alive();
        let balanced = self.seen.sensors.iter().find(|one| one.name == name);
        let balanced = balanced.is_some_and(|one| self.is_balanced(one));
        let mut sensors = self.seen.sensors.iter_mut();
        let Some(sensor) = sensors.find(|one| one.name == name && one.alive != alive) else {
            return;
        };
        if balanced {
            return;
        }
        sensor.alive = alive;
        self.soon(now);
    }

    fn is_balanced(&self, sensor: &Sensor) -> bool {
        let place = match &sensor.place {
            SensorPlace::Place(place) => Some(place),
            SensorPlace::Target(id) => {
                let inventory = self.inventory.as_ref();
                inventory.and_then(|all| Some(&all.targets.get(id)?.place))
            }
        };
        !matches!(place, Some(TargetPlace::Interface(_)))
    }
}
