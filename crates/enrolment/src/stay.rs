//! What reduces visibility waits: removed tags, narrower filters, limits that were lowered.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::draft::{Draft, Look};
use crate::filter::narrows;
use crate::finding::{Finding, FindingKind};

/// Who leaves now, and since when others wait.
pub(crate) struct Stay<'a> {
    pub(crate) now: u64,
    pub(crate) look: &'a Look<'a>,
    /// Leaves that are still allowed in this waiting time.
    pub(crate) left: usize,
}

impl Stay<'_> {
    /// Sorts out who leaves; the others stay, with their waiting noted.
    pub(crate) fn leaving<'d>(
        &mut self,
        drafts: &mut BTreeMap<&'d str, Draft<'d>>,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        let mut order: Vec<(u64, &str)> = Vec::new();
        for (id, draft) in drafts.iter_mut() {
            let now = self.now;
            let is_enrolled = draft.is_enrolled();
            let kept = draft.kept.get_or_insert_default();
            match &draft.unwanted {
                None => kept.unwanted_since = None,
                // Limits came before it did: it has nothing to lose.
                Some(why) if !is_enrolled => findings.push(why.clone()),
                Some(_) => {}
            }
            if draft.unwanted.is_none() || !is_enrolled {
                continue;
            }
            // A clock that went back begins the waiting again.
            let since = kept.unwanted_since.filter(|since| *since <= now);
            order.push((*kept.unwanted_since.insert(since.unwrap_or(now)), *id));
        }
        drafts.retain(|_, draft| draft.unwanted.is_none() || draft.is_enrolled());
        order.sort_unstable();
        let mut leaving = Vec::new();
        for (since, id) in order {
            let Some(draft) = drafts.get_mut(id) else {
                continue;
            };
            let why = draft.unwanted.clone();
            let invisible = draft.session.is_none() && is_hopeless(draft);
            let rest = self.rest(since);
            if invisible || (rest.is_zero() && self.left > 0) {
                self.left = self.left.saturating_sub(usize::from(!invisible));
                findings.extend(why);
                leaving.push(id.to_owned());
                drafts.remove(id);
            } else if let Some(why) = why {
                findings.push(Finding::new(FindingKind::Waits, id, detail(&why, rest)));
                self.keep_filter(draft);
            }
        }
        leaving
    }

    /// The filter that each source has for now: the one of its tag, unless that mirrors less.
    pub(crate) fn narrow(
        &self,
        drafts: &mut BTreeMap<&str, Draft<'_>>,
        findings: &mut Vec<Finding>,
    ) {
        for (id, draft) in drafts.iter_mut() {
            if draft.unwanted.is_some() {
                continue;
            }
            let before = self.filter_before(draft);
            let now = self.now;
            let kept = draft.kept.get_or_insert_default();
            let Some(before) = before.filter(|before| *before != draft.filter) else {
                kept.narrower_since = None;
                continue;
            };
            let content = |id: &str| self.look.inventory.filters.get(id);
            let loses = match (content(&before), content(&draft.filter)) {
                (Some(old), Some(new)) => narrows(&old.filter, &new.filter),
                // What is gone cannot be kept; what is not known is not believed.
                (None, _) => false,
                (Some(_), None) => true,
            };
            if !loses {
                kept.narrower_since = None;
                continue;
            }
            let since = kept.narrower_since.filter(|since| *since <= now);
            let rest = self.rest(*kept.narrower_since.insert(since.unwrap_or(now)));
            let known = !draft.filter.is_empty();
            if rest.is_zero() && known {
                kept.narrower_since = None;
                continue;
            }
            if known {
                let new = format!("{} for {before}, {}", draft.filter, minutes(rest));
                findings.push(Finding::new(FindingKind::Waits, id, new));
            }
            draft.filter = before;
        }
    }

    /// How long it must still wait.
    fn rest(&self, since: u64) -> Duration {
        let passed = Duration::from_micros(self.now.saturating_sub(since));
        self.look.settings.wait.saturating_sub(passed)
    }

    fn filter_before(&self, draft: &Draft<'_>) -> Option<String> {
        let kept = draft.kept.as_ref().map(|kept| kept.filter.clone());
        // Of a session that nobody remembers: the filter that it was made with.
        let tagged = || draft.session?.tags.get(FILTER_TAG).cloned();
        kept.filter(|filter| !filter.is_empty()).or_else(tagged)
    }

    fn keep_filter(&self, draft: &mut Draft<'_>) {
        let before = self.filter_before(draft);
        let session = || draft.session.map(|one| one.settings.filter.clone());
        draft.filter = before.or_else(session).unwrap_or_default();
    }
}

/// The tag of a session that says which filter it has at full.
pub(crate) const FILTER_TAG: &str = "vxscope:filter";

/// EC2 will not make its session, so there is nothing to lose.
fn is_hopeless(draft: &Draft<'_>) -> bool {
    let kind = draft.unwanted.as_ref().map(|finding| finding.kind);
    matches!(
        kind,
        Some(FindingKind::Unsupported | FindingKind::NoSession | FindingKind::AccountFull)
    )
}

fn detail(why: &Finding, rest: Duration) -> String {
    let what = if why.detail.is_empty() {
        why.kind.name().to_owned()
    } else {
        format!("{} {}", why.kind.name(), why.detail)
    };
    format!("{what}, {}", minutes(rest))
}

fn minutes(rest: Duration) -> String {
    if rest.is_zero() {
        "until fewer leave at once".to_owned()
    } else {
        format!("another {} min", rest.as_secs().div_ceil(60))
    }
}
