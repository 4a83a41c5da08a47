//! What clients and alerts can have: an extraction, a pin, the packets from before.

mod pins;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use vxscope_api::{Answer, Asker, Extract, LookBackRequest, Refusal, RefusalKind};
use vxscope_config::LookBack as Settings;
use vxscope_export::{
    Asked, AuditLog, AuditedFlow, CaptureFormat, Extracted, Packets, Shelf, ShelfLimits, Who,
};
use vxscope_flow::{Sighting, Which};

use super::counts::{Counts, Happened};
use super::keeper::{Keeper, ShelfSlot};
use super::retrieve::{Found, Limits, Query, Retrieved, Unanswered, retrieve};
use super::selection;
use crate::clock::{self, LiveClock, Stopwatch};
use crate::command::Commands;
use crate::error::EngineError;

/// Flows of one extraction; the newest are given, and `limited` says that there were more.
const FLOWS_MAX: usize = 64;
/// The audit log's name, unless it is configured.
const AUDIT: &str = "audit.ndjson";
/// The folder of captures of pins and alerts.
const SHELF: &str = "look-back";

/// See the module. For any number of threads.
#[derive(Debug)]
pub(crate) struct LookBack {
    settings: Settings,
    folder: PathBuf,
    audit: Mutex<Option<AuditLog>>,
    shelf: ShelfSlot,
    pub(crate) counts: Arc<Counts>,
    commands: Commands,
    keeper: Keeper,
}

impl LookBack {
    /// Starts the thread of the keeper.
    pub(crate) fn start(
        settings: &Settings,
        folder: &Path,
        commands: Commands,
        clock: LiveClock,
        counts: Arc<Counts>,
    ) -> Result<Self, EngineError> {
        let shelf = ShelfSlot::default();
        let keeper = Keeper::start(
            commands.clone(),
            clock,
            counts.clone(),
            shelf.clone(),
            settings.pin.get(),
        )?;
        let look_back = Self {
            settings: settings.clone(),
            // Clients are elsewhere, and are told names of files.
            folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()),
            audit: Mutex::default(),
            shelf,
            counts,
            commands,
            keeper,
        };
        // What earlier runs left there has its time, too.
        if folder.join(SHELF).is_dir() {
            let _ = look_back.shelf();
        }
        Ok(look_back)
    }

    /// The workers have ended: see [`Keeper::end`].
    pub(crate) fn end(&self, is_over: impl Fn() -> bool) {
        self.keeper.end(is_over);
    }

    /// Answers a client.
    pub(crate) fn answer(
        &self,
        request: LookBackRequest,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        let answer = self.try_answer(request, asker);
        let refused = |refusal: &Refusal| refusal.kind != RefusalKind::NotFound;
        if answer.as_ref().is_err_and(refused) {
            self.counts.add(Happened::Refused, 1);
        }
        answer
    }

    fn try_answer(&self, request: LookBackRequest, asker: &Asker) -> Result<Answer, Refusal> {
        let who = who(asker);
        if let Asker::Http {
            by_token: false, ..
        } = asker
            && !self.settings.http
        {
            return Err(Refusal::forbidden(
                "packets take a token over HTTP, see api.tokens, or look_back.http = true; \
                 or use the control socket: vxscope extract",
            ));
        }
        match request {
            LookBackRequest::Extract(extract) => self.extract(&extract, &who),
            LookBackRequest::Pin(pin) => self.pin(&pin, &who),
            LookBackRequest::Unpin(pin) => self.unpin(pin, &who),
            LookBackRequest::Pins => {
                let pins = self.keeper.list().map_err(Refusal::failed)?;
                Ok(Answer::of(json!({ "pins": pins })))
            }
        }
    }

    fn extract(&self, extract: &Extract, who: &Who) -> Result<Answer, Refusal> {
        let query = selection::query(&extract.selection).map_err(Refusal::wrong)?;
        if matches!(query.which, Which::Any | Which::Address(_)) {
            return Err(Refusal::wrong(
                "an extraction is of a flow; pin an address or a source to keep all of it",
            ));
        }
        let format = match extract.format.as_deref() {
            None => CaptureFormat::Pcap,
            Some(name) => CaptureFormat::from_name(name).ok_or_else(|| {
                Refusal::wrong(format!("format \"{name}\": there are pcap and pcapng"))
            })?,
        };
        let began = Stopwatch::start();
        let retrieved = self.retrieve(&query, FLOWS_MAX)?;
        let micros = began.elapsed().as_micros();
        let entries: Vec<Extracted> = retrieved.flows.iter().map(Found::entry).collect();
        let asked = words(&extract.selection);
        self.audit("extract", who, &extract.reason, &asked, &entries)?;
        if entries.is_empty() {
            self.counts.add(Happened::NotFound, 1);
            return Err(Refusal::not_found(not_found(&query)));
        }
        self.given(&entries);
        let flows: Vec<(&Extracted, &Packets)> = entries
            .iter()
            .zip(retrieved.flows.iter().map(|found| &found.packets))
            .collect();
        let captures: Vec<Vec<u8>> = match extract.merge {
            true => vec![format.capture(&flows)],
            false => flows.iter().map(|flow| format.capture(&[*flow])).collect(),
        };
        let told = entries.iter().map(|entry| named(entry, format));
        Ok(Answer {
            head: json!({
                "flows": told.collect::<Vec<_>>(),
                "limited": retrieved.limited,
                "micros": u64::try_from(micros).unwrap_or(u64::MAX),
                "captures": captures.iter().map(Vec::len).collect::<Vec<_>>(),
            }),
            captures,
            packets_seen: entries.iter().map(|it| it.packets_seen).sum(),
            packets_found: entries.iter().map(|it| it.packets_found).sum(),
            complete: !retrieved.limited && entries.iter().all(|it| it.complete),
        })
    }

    /// The flows that a query names, without their packets.
    pub(crate) fn flows(&self, query: &Query) -> Result<Vec<Sighting>, Refusal> {
        let limits = Limits {
            flows: FLOWS_MAX,
            bytes: 0,
        };
        let retrieved = retrieve(&self.commands, query, limits, None)
            .map_err(|unanswered| self.unanswered(unanswered))?;
        Ok(retrieved
            .flows
            .into_iter()
            .map(|found| found.flow)
            .collect())
    }

    fn retrieve(&self, query: &Query, flows_max: usize) -> Result<Retrieved, Refusal> {
        let limits = self.limits(flows_max);
        retrieve(&self.commands, query, limits, None).map_err(|error| self.unanswered(error))
    }

    fn limits(&self, flows: usize) -> Limits {
        Limits {
            flows,
            bytes: self.settings.extraction.as_usize(),
        }
    }

    fn unanswered(&self, error: Unanswered) -> Refusal {
        self.counts.add(Happened::Unanswered, 1);
        Refusal::failed(error.to_string())
    }

    fn given(&self, entries: &[Extracted]) {
        let packets = entries.iter().map(|entry| entry.packets_found).sum();
        let bytes = entries.iter().map(|entry| entry.bytes_found).sum();
        self.counts.add(Happened::Extracted, 1);
        self.counts.add(Happened::Flows, entries.len() as u64);
        self.counts.add(Happened::Packets, packets);
        self.counts.add(Happened::Bytes, bytes);
    }

    /// Writes the line without which nothing is given.
    fn audit(
        &self,
        action: &str,
        who: &Who,
        reason: &str,
        asked: &Value,
        flows: &[Extracted],
    ) -> Result<(), Refusal> {
        let path = match self.settings.audit.as_str() {
            "" => self.folder.join(AUDIT),
            path => path.into(),
        };
        let mut audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        let append = || {
            let log = match &mut *audit {
                Some(log) => log,
                empty => empty.insert(AuditLog::open(path)?),
            };
            log.append(&Asked {
                time: clock::wall(),
                who,
                action,
                reason,
                asked,
                flows: flows.iter().map(AuditedFlow::from).collect(),
            })
        };
        append().map_err(|error| {
            self.counts.add(Happened::Unaudited, 1);
            Refusal::failed(error.to_string())
        })
    }

    fn shelf(&self) -> Result<Arc<Shelf>, Refusal> {
        if let Some(shelf) = self.shelf.get() {
            return Ok(shelf.clone());
        }
        let limits = ShelfLimits {
            bytes_max: self.settings.disk.get(),
            keep_seconds: u64::from(self.settings.keep_hours) * 3_600,
        };
        let opened = Shelf::open(self.folder.join(SHELF), limits);
        let opened = opened.map_err(|error| Refusal::failed(error.to_string()))?;
        Ok(self.shelf.get_or_init(|| Arc::new(opened)).clone())
    }
}

fn who(asker: &Asker) -> Who {
    match *asker {
        Asker::Process { uid, gid, pid } => Who::Process { uid, gid, pid },
        Asker::Http { client, .. } => Who::Http(client),
    }
}

/// What was asked for, as it was asked.
fn words(selection: &vxscope_api::Selection) -> Value {
    serde_json::to_value(selection).unwrap_or_default()
}

fn named(entry: &Extracted, format: CaptureFormat) -> Value {
    let mut entry = entry.clone();
    entry.file = format!("extract-{}.{}", entry.flow_id, format.name());
    serde_json::to_value(&entry).unwrap_or_default()
}

fn not_found(query: &Query) -> String {
    let what = match &query.which {
        Which::Flow(id) => format!("no flow {id}"),
        Which::Community(id) => format!("no flow with Community ID {id}"),
        _ => "no such flow".to_owned(),
    };
    format!(
        "{what} among the open flows and the last that closed; \
         look_back.closed_flows says how many are remembered"
    )
}
