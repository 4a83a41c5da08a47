//! How it stands: what `status` shows, and scripts read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vxscope_control::mirror::ErrorKind;
use vxscope_enrolment::lead::Standing;
use vxscope_units::{Grade, Timestamp};

use super::{Driver, Overtaken, Tampered};

/// Version of the file.
const SCHEMA: u32 = 1;
/// Findings in the file; the rest is counted.
const FINDINGS_MAX: usize = 1_000;

/// Everything, as it is written and read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) schema: u32,
    /// When it was written, seconds since 1970.
    pub(crate) at: u64,
    pub(crate) mode: String,
    /// Why everything is stopped.
    pub(crate) held: Option<String>,
    /// `acts`, `raises` or `watches`.
    pub(crate) standing: String,
    /// Under which lease it acts, or did last.
    pub(crate) fence: u64,
    /// Who acts, if it is another controller.
    pub(crate) holder: Option<String>,
    /// Messages of the queue so far, and what is wrong with it.
    pub(crate) hints: u64,
    pub(crate) hint_problem: Option<String>,
    /// Metrics that CloudWatch was asked for so far, and why it does not answer.
    pub(crate) metrics_asked: u64,
    pub(crate) metrics_problem: Option<String>,
    /// Why nobody knows who acts.
    pub(crate) lease_problem: Option<String>,
    /// Whether EC2 takes calls.
    pub(crate) control_plane_up: bool,
    /// Seconds since all sessions were read.
    pub(crate) described_seconds_ago: Option<u64>,
    pub(crate) surveys: u64,
    pub(crate) surveys_failed: u64,
    pub(crate) last_error: Option<String>,
    /// Seconds since the reaper's last round.
    pub(crate) reaper_seconds_ago: Option<u64>,
    pub(crate) off_is_safe: bool,
    pub(crate) journal_writable: bool,
    /// Sensors whose control sockets do not answer.
    pub(crate) silent_sensors: Vec<String>,
    /// Sources that are not yet as they are wanted.
    pub(crate) open: usize,
    pub(crate) removed: u64,
    /// Sessions of ours that others changed, removed or made: the latest, oldest first.
    pub(crate) tampered: Vec<Tampered>,
    /// Sessions of others that take packets before ours.
    pub(crate) overtaken: Vec<Overtaken>,
    pub(crate) foreign_sessions: usize,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) chores_failed: Vec<String>,
    pub(crate) findings: Vec<String>,
    pub(crate) findings_omitted: usize,
    pub(crate) sources: Vec<SourceState>,
    /// Interfaces that wait for their turn.
    pub(crate) waiting: Vec<String>,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SourceState {
    pub(crate) interface: String,
    pub(crate) instance: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) address: String,
    pub(crate) vni: u32,
    pub(crate) target: String,
    pub(crate) filter: String,
    /// What it really has; absent while nobody knows.
    pub(crate) grade: Option<String>,
    /// Why it cannot have what it may have.
    pub(crate) blocked: Option<String>,
    /// How its copies fare.
    pub(crate) fares: Option<String>,
    /// The share of what should have been seen that was, in thousandths, if it is known.
    pub(crate) seen_permille: Option<u64>,
}

impl Driver {
    pub(crate) fn state(&self, now: Timestamp) -> State {
        let reconciler = self.steward.keeper().reconciler();
        let errors = ErrorKind::ALL.iter().map(|kind| {
            let count = reconciler.errors(*kind);
            (kind.name().to_owned(), count)
        });
        let names = self.names.finding();
        let findings = names.iter().chain(&self.plan.findings);
        State {
            schema: SCHEMA,
            at: now.as_nanos() / 1_000_000_000,
            mode: self.settings.rules.mode.name().to_owned(),
            held: self.held.clone(),
            standing: match self.lead.standing {
                Standing::Acts(_) => "acts",
                Standing::Raises => "raises",
                Standing::Watches => "watches",
            }
            .to_owned(),
            fence: self.lead.fence,
            holder: self.lead.holder().map(str::to_owned),
            hints: self.hints.messages,
            hint_problem: self.hints.problem.clone(),
            metrics_asked: self.assurance.asked,
            metrics_problem: self.assurance.problem.clone(),
            lease_problem: self.lead.problem.clone(),
            control_plane_up: reconciler.is_up() && self.last_error.is_none(),
            described_seconds_ago: reconciler
                .described_at()
                .map(|at| now.nanos_since(at) / 1_000_000_000),
            surveys: self.surveys,
            surveys_failed: self.surveys_failed,
            last_error: self.last_error.clone(),
            reaper_seconds_ago: self.reaper_age(now),
            off_is_safe: self.is_off_safe(now),
            journal_writable: self.store.is_writable(),
            silent_sensors: self.words.silent.iter().cloned().collect(),
            open: reconciler.open(),
            removed: self.removals.done,
            tampered: self.watch.recent(),
            overtaken: self.watch.overtaken(),
            foreign_sessions: reconciler.findings().foreign,
            errors: errors.filter(|(_, count)| *count > 0).collect(),
            chores_failed: self.chores.errors().collect(),
            findings: findings
                .filter(|finding| finding.is_told())
                .take(FINDINGS_MAX)
                .map(ToString::to_string)
                .collect(),
            findings_omitted: self.plan.findings.len().saturating_sub(FINDINGS_MAX),
            sources: self.sources(),
            waiting: self.waiting().map(|one| one.interface.clone()).collect(),
        }
    }

    /// Writes it down; a state that cannot be written is told once in the log.
    pub(crate) fn show(&self, now: Timestamp) {
        if let Err(error) = self.store.show(crate::status::FILE, &self.state(now)) {
            tracing::warn!(%error, "the status cannot be written");
        }
    }

    fn sources(&self) -> Vec<SourceState> {
        let (known, arrived) = (self.known.iter(), self.arrived());
        known
            .map(|(interface, known)| {
                let source = self.plan.source(interface);
                let settings = &known.subject.saved.settings;
                let grade = self.steward.effective(known.mirror).map(Grade::name);
                let fares = self.fares(interface, &arrived);
                SourceState {
                    fares: fares.map(|it| it.state.name().to_owned()),
                    seen_permille: fares.and_then(|it| it.seen_permille),
                    interface: interface.clone(),
                    instance: source.and_then(|source| source.instance.clone()),
                    name: source.and_then(|source| source.name.clone()),
                    address: known.mirror.address.to_string(),
                    vni: known.mirror.vni.get(),
                    target: settings.target.clone(),
                    filter: settings.filter.clone(),
                    grade: grade.map(str::to_owned),
                    blocked: self.blocked(interface).map(|kind| kind.name().to_owned()),
                }
            })
            .collect()
    }
}
