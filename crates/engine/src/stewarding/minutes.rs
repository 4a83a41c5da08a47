//! `decisions.ndjson`, `sessions.json`, and what the summary says of the mirrors.

use std::collections::BTreeMap;

use serde_json::json;
use vxscope_export::{
    ExportError, GradeBook, GradeChange, MirrorSummary, OutputDir, OutputFile, Reasons,
};
use vxscope_policy::rules::Mode;
use vxscope_steward::{Decided, Embedded, Notice};
use vxscope_units::{EvidenceClass, Grade, MirrorSource, Timestamp};

/// Writes down what a steward says.
#[derive(Debug)]
pub(crate) struct Minutes {
    dir: OutputDir,
    file: Option<OutputFile>,
    error: Option<ExportError>,
    book: GradeBook,
    granted: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
    forced: BTreeMap<&'static str, u64>,
    forgotten: u64,
}

impl Minutes {
    /// Begins the file.
    pub(crate) fn create(dir: &OutputDir) -> Result<Self, ExportError> {
        Ok(Self {
            file: Some(dir.create_file("decisions.ndjson")?),
            dir: dir.clone(),
            error: None,
            book: GradeBook::default(),
            granted: BTreeMap::new(),
            refused: BTreeMap::new(),
            forced: BTreeMap::new(),
            forgotten: 0,
        })
    }

    pub(super) fn write(&mut self, notice: &Notice) {
        let counts = match notice.decided {
            Decided::Granted(_) | Decided::Imagined(_) => Some(&mut self.granted),
            Decided::Refused(..) => Some(&mut self.refused),
            Decided::Forced { .. } => Some(&mut self.forced),
            Decided::Kept(_) | Decided::Effective(_) | Decided::Alerted { .. } => None,
        };
        if let Some(counts) = counts {
            *counts.entry(notice.reason()).or_default() += 1;
        }
        let line = format!("{}\n", notice.to_json());
        let result = self.file.as_mut().map(|file| file.write(line.as_bytes()));
        self.look_at(result);
    }

    /// Lets nothing stay in memory for long: whoever is paged wants the last lines.
    pub(super) fn flush(&mut self) {
        let result = self.file.as_mut().map(OutputFile::flush);
        self.look_at(result);
    }

    /// Who sends what, for sources in other processes.
    pub(super) fn write_sessions(&mut self, grades: &BTreeMap<MirrorSource, Grade>) {
        let sessions = grades.iter().map(|(source, grade)| {
            json!({"outer_ip": source.address, "vni": source.vni.get(), "grade": grade.name()})
        });
        let text = format!("{}\n", json!({"sessions": sessions.collect::<Vec<_>>()}));
        let result = self.dir.create_file("sessions.json").and_then(|mut file| {
            file.write(text.as_bytes())?;
            file.finish()
        });
        self.look_at(Some(result));
    }

    pub(super) fn note(&mut self, change: &GradeChange) {
        self.book.note(change);
    }

    pub(super) fn forget(&mut self) {
        self.forgotten += 1;
    }

    /// The first error ends the file: half of the decisions would look like all.
    fn look_at(&mut self, result: Option<Result<(), ExportError>>) {
        if let Some(Err(error)) = result {
            self.file = None;
            self.error.get_or_insert(error);
        }
    }

    pub(super) fn finish(
        mut self,
        embedded: &Embedded,
        now: Timestamp,
    ) -> (MirrorSummary, Option<String>) {
        let result = self.file.take().map(OutputFile::finish);
        self.look_at(result);
        let summary = self.summary(embedded, now);
        (summary, self.error.map(|error| error.to_string()))
    }

    /// How everything stands.
    pub(super) fn summary(&self, embedded: &Embedded, now: Timestamp) -> MirrorSummary {
        let steward = embedded.steward();
        let mode = steward.policy().rules().mode;
        let guard = steward.keeper().guard();
        let lowered = match mode {
            Mode::Shadow => steward.policy().lowered(),
            Mode::Manual | Mode::Dynamic => guard.lowered(),
        };
        let calls = ["create", "modify", "delete", "describe"];
        let total = steward.ledger().total(now);
        let (spent, saved) = (total.spent(), total.saved());
        let blind = EvidenceClass::ALL.map(|class| {
            let blind = self.book.blind(class, now);
            (class.name(), blind.as_secs_f64())
        });
        let reasons = |counts: &BTreeMap<&'static str, u64>| {
            let counts = counts.iter();
            counts
                .map(|(name, count)| (*name, *count))
                .collect::<Reasons>()
        };
        MirrorSummary {
            mode: mode.name(),
            sources: steward.sources(),
            lowered: lowered.into(),
            granted: reasons(&self.granted),
            refused: reasons(&self.refused),
            forced: reasons(&self.forced),
            calls: calls
                .into_iter()
                .map(|action| (action, embedded.api().tally(action).done))
                .collect(),
            blind_seconds: blind.into(),
            overrun_max_seconds: guard.overrun_max().as_secs_f64(),
            spent_usd: (spent.low.dollars(), spent.high.dollars()),
            saved_usd: (saved.low.dollars(), saved.high.dollars()),
            decisions_forgotten: self.forgotten + steward.notices_forgotten(),
        }
    }
}
