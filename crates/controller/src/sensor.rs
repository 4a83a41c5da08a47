//! Sensors: their reports come, the bind table goes, and nobody waits for either.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::json;
use vxscope_api::{Client, Done};
use vxscope_report::Report;
use vxscope_units::BindTable;

use crate::failure::Failure;

/// Reports that wait for the loop; then the sensor's own backlog fills, which says so.
const REPORTS: usize = 16;
/// Between two attempts to reach a sensor.
const AGAIN: Duration = Duration::from_secs(1);

/// All sensors with a control socket.
#[derive(Debug)]
pub(crate) struct Sensors {
    reports: Receiver<Report>,
    /// The latest table for each; one that was not taken yet is replaced.
    tables: Vec<(Sender<String>, Receiver<String>)>,
    sent: String,
}

impl Sensors {
    pub(crate) fn watch(sockets: &[PathBuf]) -> Result<Self, Failure> {
        let (told, reports) = bounded(REPORTS);
        let mut tables = Vec::new();
        for socket in sockets {
            let (told, path) = (told.clone(), socket.clone());
            begin("reports", move || follow(&path, &told))?;
            let (table, next) = bounded::<String>(1);
            let (path, todo) = (socket.clone(), next.clone());
            begin("bind-table", move || bind(&path, &todo))?;
            tables.push((table, next));
        }
        Ok(Self {
            reports,
            tables,
            sent: String::new(),
        })
    }

    /// A report that has come.
    #[must_use]
    pub(crate) fn poll(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Every sensor is to know these sources, and no others.
    pub(crate) fn bind(&mut self, table: &BindTable) {
        let sources = table.bindings().iter().map(|one| {
            json!({
                "address": one.prefix.to_string(),
                "vni": one.vni.map(|vni| vni.get()),
                "name": one.name,
                "eni": one.eni,
            })
        });
        let sources: Vec<_> = sources.collect();
        let request = json!({"set": "bind_table", "sources": sources}).to_string();
        if request == self.sent {
            return;
        }
        for (table, next) in &self.tables {
            drop(next.try_recv());
            drop(table.try_send(request.clone()));
        }
        self.sent = request;
    }
}

fn begin(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread
        .map(drop)
        .map_err(|error| Failure::Failed(format!("threads: {error}")))
}

/// Until nobody wants reports any more.
fn follow(socket: &Path, told: &Sender<Report>) {
    loop {
        match Client::connect(socket).and_then(Client::follow) {
            Ok(reports) => {
                for followed in reports {
                    let Ok(followed) = followed else {
                        break;
                    };
                    if told.send(followed.report).is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "no reports: what this sensor sees is unknown"),
        }
        thread::sleep(AGAIN);
    }
}

/// Tells the sensor each new table, again and again until it takes it.
fn bind(socket: &Path, tables: &Receiver<String>) {
    while let Ok(mut table) = tables.recv() {
        loop {
            let asked = Client::connect(socket).and_then(|mut one| one.ask::<Done>(&table));
            let Err(error) = asked else {
                break;
            };
            tracing::warn!(%error, "the bind table is not taken");
            thread::sleep(AGAIN);
            if let Ok(newer) = tables.try_recv() {
                table = newer;
            }
        }
    }
}
