//! Whether what is sent arrives: what CloudWatch counted at the source against what sensors
//! received, within what may be spent on asking.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vxscope_control::mirror::ApiError;
use vxscope_ec2::MetricsAsk;
use vxscope_enrolment::assurance::{self, METRICS, PERIOD, Questions, Reason, Sent, Told, judge};
use vxscope_enrolment::is_alive;
use vxscope_report::Report;
use vxscope_units::{Grade, MirrorSource, Timestamp};

use super::Driver;
use crate::received::{Received, begin_of};

/// CloudWatch tells of a period of basic monitoring up to so much after its end.
const LATE: u64 = 600;

/// See the module.
#[derive(Debug)]
pub(super) struct Assurance {
    /// Nothing if nothing may be spent.
    questions: Option<Questions>,
    received: Received,
    /// The period that was asked about last, and whether the answer is open.
    period: u64,
    open: bool,
    /// What each instance sent in that period, of those that were asked about.
    sent: BTreeMap<String, Sent>,
    /// Sources whose canaries are missed, and the sensor that says so.
    missed: BTreeMap<(IpAddr, u32), String>,
    pub(super) asked: u64,
    pub(super) problem: Option<String>,
}

impl Assurance {
    pub(super) fn new(metrics_per_hour: u32, now: Timestamp) -> Self {
        Self {
            questions: (metrics_per_hour > 0).then(|| Questions::new(metrics_per_hour, now)),
            received: Received::default(),
            period: 0,
            open: false,
            sent: BTreeMap::new(),
            missed: BTreeMap::new(),
            asked: 0,
            problem: None,
        }
    }

    pub(super) fn handle_report(&mut self, report: &Report) {
        self.received.handle_report(report);
        for source in &report.sources {
            let key = (source.outer_ip, source.vni);
            let canary = source.signals.canary.unwrap_or_default();
            if canary.missed_at > 0 {
                self.missed.insert(key, report.sensor.clone());
            } else if self.missed.get(&key) == Some(&report.sensor) {
                self.missed.remove(&key);
            }
        }
    }
}

impl Driver {
    /// Takes what CloudWatch answered, and asks about the next period when it is told.
    pub(super) fn assure(&mut self, now: Timestamp) {
        while let Some(answer) = self.ec2.poll_metrics() {
            self.assurance.open = false;
            self.take_metrics(answer, now);
        }
        let period = begin_of(now.seconds().saturating_sub(LATE + PERIOD.as_secs()));
        if self.assurance.open || period == self.assurance.period || !self.lead.acts() {
            return;
        }
        self.assurance.period = period;
        self.assurance.sent.clear();
        let mirrors = self.known.values().map(|known| known.mirror);
        let there: BTreeSet<_> = mirrors.map(|it| (it.address, it.vni.get())).collect();
        let received = &mut self.assurance.received;
        received.retain(|address, vni| there.contains(&(address, vni)));
        self.assurance.missed.retain(|key, _| there.contains(key));
        let candidates = self.candidates(period);
        let Some(questions) = &mut self.assurance.questions else {
            return;
        };
        questions.retain(|instance| candidates.contains_key(instance));
        let candidates = candidates.iter();
        let chosen = questions.poll(candidates.map(|(id, why)| (id.as_str(), *why)), now);
        let instances: Vec<String> = chosen.into_iter().map(str::to_owned).collect();
        if !instances.is_empty() {
            self.assurance.asked += METRICS * u64::try_from(instances.len()).unwrap_or(0);
            self.assurance.open = true;
            self.ec2.submit_metrics(MetricsAsk {
                instances,
                from: period,
            });
        }
    }

    /// Whom to ask about, and why: who is lowered, who is silent, and all others.
    fn candidates(&self, period: u64) -> BTreeMap<String, Reason> {
        let mut candidates = BTreeMap::new();
        for (interface, known) in &self.known {
            let Some(instance) = self.instance(interface) else {
                continue;
            };
            let silent = self.assurance.received.of(known.mirror, period) == Some(0);
            let reason = match self.steward.effective(known.mirror) {
                Some(grade) if grade < Grade::Truncated => Reason::Lowering,
                _ if silent => Reason::Silent,
                _ => Reason::Sample,
            };
            let pressing = candidates.entry(instance.to_owned()).or_insert(reason);
            *pressing = reason.min(*pressing);
        }
        candidates
    }

    fn take_metrics(&mut self, answer: Result<BTreeMap<String, Sent>, ApiError>, now: Timestamp) {
        let sent = match answer {
            Ok(sent) => sent,
            Err(error) => {
                tracing::warn!(%error, "CloudWatch does not tell what is copied");
                self.assurance.problem = Some(format!("CloudWatch: {error}"));
                return;
            }
        };
        self.assurance.problem = None;
        let from = Timestamp::new(self.assurance.period, 0);
        let to = super::after(from, PERIOD);
        let known: Vec<(String, MirrorSource)> = self
            .known
            .iter()
            .map(|(interface, known)| (interface.clone(), known.mirror))
            .collect();
        for (interface, mirror) in known {
            let Some(sent) = self.instance(&interface).and_then(|it| sent.get(it)) else {
                continue;
            };
            // Of a source that is hidden nothing is copied: whatever it sends tells that it
            // speaks. Of another one only what its filter names.
            let hidden = self
                .steward
                .effective(mirror)
                .is_some_and(|it| it < Grade::Truncated);
            let bytes = if hidden {
                sent.all
            } else {
                sent.mirrored.saturating_add(sent.skipped)
            };
            self.steward.handle_counters(mirror, from, to, bytes, now);
        }
        self.assurance.sent = sent;
    }

    /// What arrived of each instance's sources in the period that was asked about last, where
    /// somebody listened all the time.
    pub(super) fn arrived(&self) -> BTreeMap<&str, Option<u64>> {
        let mut arrived: BTreeMap<&str, Option<u64>> = BTreeMap::new();
        for (interface, known) in &self.known {
            let bytes = self
                .assurance
                .received
                .of(known.mirror, self.assurance.period);
            let sum = arrived.entry(self.whose(interface)).or_insert(Some(0));
            *sum = sum.zip(bytes).map(|(sum, bytes)| sum.saturating_add(bytes));
        }
        arrived
    }

    /// How the copies of a source fare.
    pub(super) fn fares(
        &self,
        interface: &str,
        arrived: &BTreeMap<&str, Option<u64>>,
    ) -> Option<assurance::Judgement> {
        let known = self.known.get(interface)?;
        let whose = self.whose(interface);
        let received = arrived.get(whose).copied().flatten();
        let grade = self.steward.effective(known.mirror).unwrap_or_default();
        let sent = self.assurance.sent.get(whose).copied();
        // Copies that are cut say that they come, and not how many.
        let cut = grade < Grade::Full || self.settings.packet_length.is_some();
        let mirrored = sent.map_or(0, |sent| sent.mirrored);
        let bytes = match received.unwrap_or(0) {
            0 => 0,
            bytes if cut => bytes.max(mirrored),
            bytes => bytes,
        };
        Some(judge(&Told {
            // What nobody listened to cannot be compared.
            sent: sent.filter(|_| received.is_some()),
            received: assurance::Received { bytes },
            grade,
            session: known.has_session,
            target: self.target_lives(known.target()),
            missed: {
                let key = (known.mirror.address, known.mirror.vni.get());
                self.assurance.missed.contains_key(&key)
            },
        }))
    }

    /// The instance of an interface, or itself: counters are the instance's.
    fn whose<'a>(&'a self, interface: &'a str) -> &'a str {
        self.instance(interface).unwrap_or(interface)
    }

    fn instance(&self, interface: &str) -> Option<&str> {
        self.plan.source(interface)?.instance.as_deref()
    }

    fn target_lives(&self, target: &str) -> bool {
        let Some(inventory) = &self.inventory else {
            return true;
        };
        let place = inventory.targets.get(target).map(|one| &one.place);
        place.is_none_or(|place| is_alive(place, inventory))
    }
}
