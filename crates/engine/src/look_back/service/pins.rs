//! Pins, and the packets from before them: asked for by clients, or by alerts.

use std::time::Duration;

use serde_json::{Value, json};
use vxscope_api::{Answer, NewPin as PinRequest, Refusal, RefusalKind};
use vxscope_export::{CaptureFormat, Extracted, Shelf, Who};
use vxscope_flow::{Sighting, Which};
use vxscope_units::MirrorSource;

use super::{FLOWS_MAX, LookBack, SHELF, not_found, words};
use crate::look_back::counts::Happened;
use crate::look_back::keeper::{NewPin, sweep};
use crate::look_back::retrieve::{Found, Query, Retrieved, retrieve};
use crate::look_back::selection;

/// Flows of one pin of an address or a source whose packets from before are saved.
const PINNED_FLOWS_MAX: usize = 4_096;
/// The longest pin: a week.
const PIN_SECONDS_MAX: u64 = 604_800;

/// A capture that was saved.
#[derive(Debug)]
struct Saved {
    name: String,
    flows: Vec<Extracted>,
}

impl LookBack {
    pub(super) fn pin(&self, pin: &PinRequest, who: &Who) -> Result<Answer, Refusal> {
        let query = selection::query(&pin.selection).map_err(Refusal::wrong)?;
        let query = self.pinnable(query)?;
        let usual = u64::from(self.settings.pin_seconds);
        let lasts = pin.seconds.unwrap_or(usual);
        if lasts == 0 || lasts > PIN_SECONDS_MAX {
            return Err(Refusal::wrong(format!(
                "seconds {lasts}: a pin lasts from 1 to {PIN_SECONDS_MAX}"
            )));
        }
        let new = NewPin {
            query,
            asked: words(&pin.selection),
            reason: pin.reason.clone(),
            lasts: Duration::from_secs(lasts),
            shelf: self.shelf()?,
        };
        let (id, saved) = self.keep(new, "pin", who, |id| format!("pin-{id}-before"))?;
        Ok(Answer::of(json!({
            "pin": id,
            "seconds": lasts,
            "before": saved.map(|saved| json!({
                "file": self.folder.join(SHELF).join(saved.name),
                "flows": saved.flows.len(),
                "packets": saved.flows.iter().map(|it| it.packets_found).sum::<u64>(),
                "complete": saved.flows.iter().all(|it| it.complete),
            })),
        })))
    }

    /// Begins a pin, and saves the packets from before under the name that `name` makes of the
    /// pin's number. Without such packets there is no file.
    fn keep(
        &self,
        new: NewPin,
        action: &str,
        who: &Who,
        name: impl FnOnce(u32) -> String,
    ) -> Result<(u32, Option<Saved>), Refusal> {
        let (query, shelf) = (new.query.clone(), new.shelf.clone());
        let (asked, reason) = (new.asked.clone(), new.reason.clone());
        let watch = self.keeper.pin(new).map_err(Refusal::busy)?;
        let id = watch.pin;
        let kept = || {
            let limits = self.limits(PINNED_FLOWS_MAX);
            let retrieved = retrieve(&self.commands, &query, limits, Some(&watch))
                .map_err(|unanswered| self.unanswered(unanswered))?;
            let entries: Vec<Extracted> = retrieved.flows.iter().map(Found::entry).collect();
            self.audit(action, who, &reason, &asked, &entries)?;
            if entries.is_empty() {
                return Ok(None);
            }
            let name = format!("{}.{}", name(id), CaptureFormat::Pcap.name());
            self.save(&shelf, &name, &entries, &retrieved)?;
            let flows = entries;
            Ok(Some(Saved { name, flows }))
        };
        let kept = kept();
        if kept.is_err() {
            // What has no line in the audit log, or no beginning, is not gone on with.
            let _ = self.keeper.unpin(id);
        }
        kept.map(|saved| (id, saved))
    }

    /// Saves the packets from before an alert under a name, and pins what it is about; whether
    /// there was a place for the pin.
    pub(crate) fn save_alert(
        &self,
        query: Query,
        asked: Value,
        reason: &str,
        feed: &str,
        lasts: Duration,
        name: String,
    ) -> Result<bool, Refusal> {
        let who = Who::Detector(feed.to_owned());
        let shelf = self.shelf()?;
        let new = NewPin {
            query: query.clone(),
            asked: asked.clone(),
            reason: reason.to_owned(),
            lasts,
            shelf: shelf.clone(),
        };
        match self.keep(new, "alert", &who, |_| name.clone()) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.kind == RefusalKind::Busy => {
                let retrieved = self.retrieve(&query, FLOWS_MAX)?;
                let entries: Vec<Extracted> = retrieved.flows.iter().map(Found::entry).collect();
                self.audit("alert", &who, reason, &asked, &entries)?;
                let name = format!("{name}.{}", CaptureFormat::Pcap.name());
                self.save(&shelf, &name, &entries, &retrieved)?;
                Ok(false)
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn save(
        &self,
        shelf: &Shelf,
        name: &str,
        entries: &[Extracted],
        retrieved: &Retrieved,
    ) -> Result<(), Refusal> {
        let packets = retrieved.flows.iter().map(|found| &found.packets);
        let flows: Vec<_> = entries.iter().zip(packets).collect();
        let capture = CaptureFormat::Pcap.capture(&flows);
        sweep(shelf, capture.len() as u64, &self.counts);
        let written = shelf.create_file(name).and_then(|mut file| {
            file.write(&capture)?;
            file.finish()
        });
        written.map_err(|error| {
            self.counts.add(Happened::WriteErrors, 1);
            Refusal::failed(error.to_string())
        })
    }

    pub(super) fn unpin(&self, pin: u32, who: &Who) -> Result<Answer, Refusal> {
        self.audit("unpin", who, "", &json!({ "pin": pin }), &[])?;
        match self.keeper.unpin(pin).map_err(Refusal::failed)? {
            true => Ok(Answer::of(json!({}))),
            false => Err(Refusal::not_found(format!(
                "there is no pin {pin}, or it has ended"
            ))),
        }
    }

    /// A pin needs what is in a packet: a flow that is named by its id is pinned by its ends.
    fn pinnable(&self, query: Query) -> Result<Query, Refusal> {
        match query.which {
            Which::Tuple(_) | Which::Pair(..) | Which::Address(_) => return Ok(query),
            Which::Any if query.address.is_some() && query.vni.is_some() => return Ok(query),
            Which::Any => {
                return Err(Refusal::wrong(
                    "a source is pinned by both its outer_ip and its vni",
                ));
            }
            Which::Flow(_) | Which::Community(_) => {}
        }
        let flows = self.flows(&query)?;
        let mut named = flows.iter().map(ends);
        let Some((which, source)) = named.next() else {
            self.counts.add(Happened::NotFound, 1);
            return Err(Refusal::not_found(not_found(&query)));
        };
        if named.any(|other| other.1 != source) {
            return Err(Refusal::wrong(
                "several mirror sources have such a flow; say which by outer_ip and vni",
            ));
        }
        Ok(Query {
            which,
            vni: Some(source.vni),
            address: Some(source.address),
        })
    }
}

/// A flow's ends and its source.
fn ends(flow: &Sighting) -> (Which, MirrorSource) {
    (Which::Tuple(flow.tuple), flow.source)
}
