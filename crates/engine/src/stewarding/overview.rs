//! What whoever asks is shown of the mirrors: every decision as it comes, and how they stand.

use std::collections::BTreeMap;

use vxscope_api::{Hub, Told};
use vxscope_export::{MirrorSummary, Reasons as Counts};
use vxscope_report::{Oversight, Reasons};
use vxscope_steward::{Decided, Embedded, Notice};
use vxscope_units::{MirrorSource, Timestamp};

/// How often the mirrors are shown anew. Decisions are shown at once.
const SHOW_EVERY_NANOS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Overview {
    hub: Hub,
    /// Since when each mirror is as it is, and why.
    stories: BTreeMap<MirrorSource, Story>,
    shown: Option<Timestamp>,
}

/// Why a mirror is as it is, and what was decided and has not had its effect yet.
#[derive(Debug, Default)]
struct Story {
    since: u64,
    why: Why,
    next: Option<Why>,
}

#[derive(Clone, Debug, Default)]
struct Why {
    reason: String,
    sentence: String,
}

impl Story {
    /// All of it in one sentence.
    fn sentence(&self) -> String {
        let Self { why, next, .. } = self;
        match next {
            Some(next) if why.sentence.is_empty() => next.sentence.clone(),
            Some(next) => format!("{}. Under way: {}", why.sentence, next.sentence),
            None => why.sentence.clone(),
        }
    }
}

impl Overview {
    pub(crate) fn new(hub: Hub) -> Self {
        Self {
            hub,
            stories: BTreeMap::new(),
            shown: None,
        }
    }

    /// Shows a decision, and remembers why the mirror is as it is.
    pub(super) fn note(&mut self, notice: &Notice) {
        let story = self.stories.entry(notice.mirror).or_default();
        let why = || Why {
            reason: notice.reason().to_owned(),
            sentence: notice.public_sentence(),
        };
        match &notice.decided {
            Decided::Granted(_) | Decided::Forced { .. } => story.next = Some(why()),
            Decided::Effective(_) => {
                story.since = notice.at.as_nanos() / 1_000;
                story.why = story.next.take().unwrap_or_else(why);
            }
            // In the shadow nothing has an effect, and who is kept stays as he is.
            Decided::Imagined(_) | Decided::Kept(_) => story.why = why(),
            Decided::Refused(..) | Decided::Alerted { .. } => {}
        }
        self.hub.tell(Told {
            source: (notice.mirror.address, notice.mirror.vni.get()),
            interface: notice.interface.clone(),
            outcome: notice.outcome(),
            shown: notice.to_public_json(),
            whole: notice.to_json(),
        });
    }

    /// Whether it is time to [`show`](Self::show).
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.shown
            .is_none_or(|shown| now < shown || now.nanos_since(shown) >= SHOW_EVERY_NANOS)
    }

    /// Shows how all mirrors stand.
    pub(super) fn show(&mut self, summary: &MirrorSummary, embedded: &Embedded, now: Timestamp) {
        self.shown = Some(now);
        let rows = embedded.steward().rows(now).map(|mut row| {
            let vni = vxscope_units::Vni::try_new(row.vni);
            let source = vni.map(|vni| MirrorSource {
                address: row.outer_ip,
                vni,
            });
            if let Some(story) = source.and_then(|source| self.stories.get(&source)) {
                row.since = story.since;
                row.reason.clone_from(&story.why.reason);
                row.sentence = story.sentence();
            }
            row
        });
        let names = |counts: &Counts| -> Reasons {
            let counts = counts.iter();
            counts
                .map(|(name, count)| (name.to_owned(), count))
                .collect()
        };
        self.hub.oversee(Oversight {
            mode: summary.mode.to_owned(),
            time: now.as_nanos() / 1_000,
            sources: summary.sources,
            lowered: summary.lowered,
            granted: names(&summary.granted),
            refused: names(&summary.refused),
            forced: names(&summary.forced),
            calls: names(&summary.calls),
            blind_seconds: summary
                .blind_seconds
                .iter()
                .map(|(class, seconds)| ((*class).to_owned(), *seconds))
                .collect(),
            overrun_max_seconds: summary.overrun_max_seconds,
            spent_usd: summary.spent_usd,
            saved_usd: summary.saved_usd,
            decisions_forgotten: summary.decisions_forgotten,
            mirrors: rows.collect(),
        });
    }
}
