//! A statement as people and programs read it.

use std::fmt;

use serde::Serialize;

use super::{Billing, Path, Range, Statement};

/// A statement in names and amounts; what is an estimate says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What was spent.
    pub spent: Range,
    /// What always-full mirrors would have cost.
    pub always_full: Range,
    /// The difference, by the same billing model.
    pub saved: Range,
    /// The difference in what AWS asks, without the consumer's ingest.
    pub saved_aws: Range,
    /// Session-hours, spent.
    pub session: Range,
    /// Mirrored bytes, spent.
    pub data: Range,
    /// The consumer's ingest, spent.
    pub ingest: Range,
    /// What lowering and raising itself cost.
    pub pausing: Range,
    /// Hours that sessions existed, and would have existed.
    pub session_hours: f64,
    /// Hours that sessions would have existed at always-full.
    pub always_session_hours: f64,
    /// By started hours: paid and not used.
    pub unused_hours: f64,
    /// Calls made in order to lower and raise.
    pub api_calls: u64,
    /// Mirrored frames by path; paths without any are left out.
    pub paths: Vec<PathSummary>,
    /// Totals by billing model.
    pub billing: Vec<BillingSummary>,
    /// What of this is an estimate, a sentence each.
    pub estimates: Vec<String>,
    /// What the amounts do not show, a sentence each.
    pub notes: Vec<String>,
}

/// What went one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathSummary {
    /// [`Path::name`].
    pub path: &'static str,
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What they cost.
    pub usd: Range,
}

/// What one billing model makes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BillingSummary {
    /// [`Billing::name`].
    pub billing: &'static str,
    /// What was spent.
    pub spent: Range,
    /// What always-full mirrors would have cost.
    pub always_full: Range,
}

impl Statement {
    /// This statement in names and amounts.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let usage = self.usage();
        let hours = |seconds: u64| seconds as f64 / super::billing::HOUR as f64;
        Summary {
            spent: self.spent(),
            always_full: self.always_full(),
            saved: self.saved(),
            saved_aws: self.saved_aws(),
            session: self.spent_on(|lines| lines.session),
            data: self.spent_on(|lines| lines.data.into_iter().sum()),
            ingest: self.spent_on(|lines| lines.ingest),
            pausing: self.spent_on(|lines| lines.pausing),
            session_hours: hours(usage.session_seconds),
            always_session_hours: hours(usage.always_seconds),
            unused_hours: hours(usage.unused_seconds()),
            api_calls: usage.calls.mutations,
            paths: Path::ALL
                .iter()
                .filter(|path| usage.mirrored[path.index()].packets > 0)
                .map(|path| self.path_summary(*path))
                .collect(),
            billing: Billing::ALL
                .iter()
                .map(|billing| self.billing_summary(*billing))
                .collect(),
            estimates: self.estimates(),
            notes: self.notes(),
        }
    }

    fn path_summary(&self, path: Path) -> PathSummary {
        let traffic = self.usage().mirrored[path.index()];
        PathSummary {
            path: path.name(),
            packets: traffic.packets,
            bytes: traffic.bytes,
            usd: self.spent_on(|lines| lines.data[path.index()]),
        }
    }

    fn billing_summary(&self, billing: Billing) -> BillingSummary {
        let (spent, always_full) = self.by_billing(billing);
        BillingSummary {
            billing: billing.name(),
            spent,
            always_full,
        }
    }

    fn notes(&self) -> Vec<String> {
        let same_zone = self.usage().mirrored[Path::SameAz.index()].packets > 0;
        let note = "data within a zone costs nothing: there grades above off save bandwidth and \
                    the consumer's ingest, not AWS money";
        same_zone.then(|| note.to_owned()).into_iter().collect()
    }

    fn estimates(&self) -> Vec<String> {
        let usage = self.usage();
        let hours = |seconds: u64| seconds.div_ceil(super::billing::HOUR);
        let mut estimates = vec![
            "AWS does not publish how it rounds session-hours: the range spans the billing models"
                .to_owned(),
        ];
        if usage.estimated_seconds > 0 {
            estimates.push(format!(
                "{} source-hours below full: what full would have mirrored is taken from the \
                 source's time at full",
                hours(usage.estimated_seconds.unsigned_abs())
            ));
        }
        if usage.undocumented_seconds > 0 {
            estimates.push(format!(
                "{} source-hours in Regions without a documented price: the nearest Region's \
                 prices, widened",
                hours(usage.undocumented_seconds)
            ));
        }
        if usage.mirrored[Path::Nlb.index()].packets > 0 {
            estimates.push(
                "a Network Load Balancer is billed by bytes, new flows or active flows, whichever \
                 is most: only bytes are known"
                    .to_owned(),
            );
        }
        estimates
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "spent         {}", self.spent)?;
        writeln!(
            f,
            "  sessions    {} for {:.1} hours",
            self.session, self.session_hours
        )?;
        writeln!(f, "  data        {}", self.data)?;
        for path in &self.paths {
            let gib = path.bytes as f64 / f64::from(1 << 30);
            writeln!(f, "    {:<10}{} for {gib:.2} GiB", path.path, path.usd)?;
        }
        if self.ingest != Range::default() {
            writeln!(f, "  ingest      {} (not AWS)", self.ingest)?;
        }
        writeln!(
            f,
            "  pausing     {} for {} calls",
            self.pausing, self.api_calls
        )?;
        writeln!(f, "always full   {}", self.always_full)?;
        writeln!(f, "saved         {}", self.saved)?;
        for model in &self.billing {
            writeln!(
                f,
                "  by {:<14} {} of {}",
                model.billing, model.spent, model.always_full
            )?;
        }
        for estimate in &self.estimates {
            writeln!(f, "estimate: {estimate}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
