//! From an alert to its flow, its source, its capture and its pin.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use vxscope_alert::Alert;
use vxscope_flow::{Sighting, Which};
use vxscope_units::{MirrorSource, Timestamp};

use super::counts::{Counts, Outcome};
use super::tenants::{Tenants, Whose};
use crate::alert;
use crate::clock::LiveClock;
use crate::command::Commands;
use crate::look_back::{LookBack, Query};

/// How far an alert's time may be from its flow's: detectors flush, and clocks differ.
const SLACK_NANOS: u64 = 60_000_000_000;
/// Flows that are remembered as saved; the one whose pin ends first is forgotten first, and would
/// be saved again.
const KNOWN_MAX: usize = 4_096;

/// What the saver needs. Clones are the same saver.
#[derive(Clone, Debug)]
pub(crate) struct Saver {
    pub(crate) counts: Arc<Counts>,
    pub(crate) look_back: Arc<LookBack>,
    pub(crate) commands: Commands,
    pub(crate) tenants: Tenants,
    pub(crate) clock: LiveClock,
    pub(crate) pin: Duration,
    /// Flows that were saved, and until when they are pinned.
    pub(crate) known: Arc<Mutex<BTreeMap<u64, Duration>>>,
}

impl Saver {
    /// Saves the packets from before an alert, pins its flow, and tells of it.
    pub(super) fn save(&self, alert: &Alert, feed: &str) {
        let outcome = self.try_save(alert, feed);
        self.counts.add(outcome);
    }

    /// Tells whoever looks after the mirrors of an alert that is not saved, if its tags say whose
    /// it is.
    pub(super) fn tell_of_shed(&self, alert: &Alert) {
        if let Whose::Sources(sources) = self.tenants.whose(&alert.vlan) {
            for source in sources {
                self.tell(alert, source, None);
            }
        }
    }

    fn try_save(&self, alert: &Alert, feed: &str) -> Outcome {
        let whose = self.tenants.whose(&alert.vlan);
        let Some(query) = query(alert, &whose) else {
            return Outcome::Unmatched;
        };
        let Ok(flows) = self.look_back.flows(&query) else {
            return Outcome::Failed;
        };
        let flows = of_time(flows, alert.time);
        let flows: Vec<Sighting> = flows
            .into_iter()
            .filter(|it| whose.has(it.source))
            .collect();
        if flows.is_empty() {
            return Outcome::Unmatched;
        }
        if !is_one_tenant(&flows) {
            return Outcome::Ambiguous;
        }
        let mut outcome = Outcome::Known;
        for flow in latest_of_each_source(flows) {
            let (originator, responder) = flow.tuple.addresses.pair();
            let peer = if originator == flow.source.address {
                responder
            } else {
                originator
            };
            self.tell(alert, flow.source, Some(peer));
            if self.is_known(flow.flow_id) {
                continue;
            }
            match self.keep(alert, &flow, feed) {
                Ok(pinned) => {
                    if !pinned {
                        self.counts.add(Outcome::Unpinned);
                    }
                    outcome = Outcome::Saved;
                }
                Err(()) => return Outcome::Failed,
            }
        }
        outcome
    }

    /// Saves and pins; whether it is pinned.
    fn keep(&self, alert: &Alert, flow: &Sighting, feed: &str) -> Result<bool, ()> {
        let query = Query {
            which: Which::Tuple(flow.tuple),
            vni: Some(flow.source.vni),
            address: Some(flow.source.address),
        };
        let asked = json!({
            "rule": alert.id,
            "severe": alert.severe,
            "time": alert.time.to_string(),
            "flow_id": flow.flow_id,
        });
        let name = |time: &str| format!("alert-{time}-{}-{}", alert.id, flow.flow_id);
        let name = name(&crate::look_back::compact(alert.time));
        let kept = self
            .look_back
            .save_alert(query, asked, &alert.name, feed, self.pin, name);
        kept.map_err(|_| ())
    }

    fn tell(&self, alert: &Alert, source: MirrorSource, peer: Option<IpAddr>) {
        // Every outcome is counted there.
        let _ = self.commands.alert(alert::Alert {
            source,
            peer,
            severe: alert.severe,
            reason: alert.name.clone(),
        });
    }

    /// Whether a flow is pinned by an earlier alert; it is from now on.
    fn is_known(&self, flow_id: u64) -> bool {
        let now = self.clock.elapsed();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, until| *until > now);
        if known.len() >= KNOWN_MAX
            && let Some(first) = known.iter().min_by_key(|(_, until)| **until)
        {
            let first = *first.0;
            known.remove(&first);
        }
        known.insert(flow_id, now + self.pin).is_some()
    }
}

/// What to look for; `None` if the tags were given to nobody, or the two ends are no pair.
fn query(alert: &Alert, whose: &Whose) -> Option<Query> {
    let ((one, from), (other, to)) = (alert.source, alert.destination);
    let which = match (alert.protocol, from, to) {
        (Some(protocol @ (6 | 17 | 132)), Some(from), Some(to)) => {
            Which::ends(protocol, (one, from), (other, to))?
        }
        _ => match alert.community_id.as_deref().map(str::parse) {
            Some(Ok(id)) => Which::Community(id),
            _ => Which::Pair([one, other], alert.protocol),
        },
    };
    let (vni, address) = match whose {
        Whose::Anybodys => (None, None),
        Whose::Vni(vni) => (Some(*vni), None),
        Whose::Sources(sources) => match &sources[..] {
            [] => return None,
            [source] => (Some(source.vni), Some(source.address)),
            _ => (None, None),
        },
    };
    Some(Query {
        which,
        vni,
        address,
    })
}

/// Flows that were there at the time.
fn of_time(flows: Vec<Sighting>, time: Timestamp) -> Vec<Sighting> {
    let was_there = |flow: &Sighting| {
        flow.start <= time.plus_nanos(SLACK_NANOS) && flow.end.plus_nanos(SLACK_NANOS) >= time
    };
    flows.into_iter().filter(was_there).collect()
}

/// Whether all flows are one tenant's: of one source, or the two ends of one conversation, each
/// seen at the interface that has its address.
fn is_one_tenant(flows: &[Sighting]) -> bool {
    let sources: BTreeSet<MirrorSource> = flows.iter().map(|flow| flow.source).collect();
    if sources.len() <= 1 {
        return true;
    }
    let addresses: BTreeSet<IpAddr> = sources.iter().map(|source| source.address).collect();
    let is_end = |flow: &Sighting| {
        let (one, other) = flow.tuple.addresses.pair();
        [one, other].contains(&flow.source.address)
    };
    sources.len() == 2 && addresses.len() == 2 && flows.iter().all(is_end)
}

/// A tuple that is used again names several flows of a source; the alert is about the last.
fn latest_of_each_source(flows: Vec<Sighting>) -> Vec<Sighting> {
    let mut latest: BTreeMap<MirrorSource, Sighting> = BTreeMap::new();
    for flow in flows {
        let there = latest.entry(flow.source).or_insert(flow);
        if flow.start > there.start {
            *there = flow;
        }
    }
    latest.into_values().collect()
}
