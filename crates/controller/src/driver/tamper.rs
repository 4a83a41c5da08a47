//! What others did to sessions of ours, and whose sessions go before them: for status, log and
//! `decisions.ndjson`, with the session, what differs and since when.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vxscope_control::mirror::Difference;
use vxscope_control::reconcile::{Deed, Overtaking, Tampering};
use vxscope_units::Timestamp;

use super::Driver;

/// Deeds that `status` shows: the latest.
const RECENT_MAX: usize = 100;
/// Of the lines of `decisions.ndjson`, as the policy's.
const SCHEMA: u32 = 1;

/// A session that somebody else changed, removed or made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tampered {
    pub(crate) interface: String,
    pub(crate) session: String,
    /// `changed`, `removed`, `disowned`, `replaced` or `made`.
    pub(crate) did: String,
    pub(crate) changes: Vec<Changed>,
    /// When it was seen, seconds since 1970.
    pub(crate) at: u64,
    /// Somebody does it again and again: it is restored every ten minutes only.
    pub(crate) contested: bool,
}

/// A field of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Changed {
    pub(crate) field: String,
    pub(crate) ours: String,
    pub(crate) found: String,
}

/// A session of somebody else that takes packets before ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Overtaken {
    pub(crate) interface: String,
    pub(crate) number: u16,
    pub(crate) by: String,
    pub(crate) by_number: u16,
    pub(crate) by_account: String,
    /// When it was first seen, seconds since 1970.
    pub(crate) since: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Begin of the reading that was looked at last.
    seen: Option<Timestamp>,
    recent: VecDeque<Tampered>,
    overtaken: Vec<Overtaken>,
    lines: VecDeque<Value>,
}

impl Watch {
    pub(super) fn recent(&self) -> Vec<Tampered> {
        self.recent.iter().cloned().collect()
    }

    pub(super) fn overtaken(&self) -> Vec<Overtaken> {
        self.overtaken.clone()
    }

    fn tell(&mut self, at: Timestamp, mut line: Value) {
        if let Value::Object(fields) = &mut line {
            fields.insert("schema".to_owned(), json!(SCHEMA));
            fields.insert("at".to_owned(), json!(at.as_nanos() / 1_000));
        }
        // Whoever drives it takes them after every tick.
        self.lines.push_back(line);
    }
}

impl Driver {
    /// Looks at the last reading of all sessions, once.
    pub(super) fn watch_tampering(&mut self) {
        let reconciler = self.steward.keeper().reconciler();
        let Some(at) = reconciler.described_at() else {
            return;
        };
        if self.watch.seen.replace(at) == Some(at) {
            return;
        }
        let findings = reconciler.findings();
        for tampering in &findings.tampered {
            let contested = findings.contested.contains(&tampering.row);
            let one = Tampered::of(tampering, contested);
            match tampering.deed {
                // As the reaper does in time.
                Deed::Made => tracing::info!("{}", one.sentence()),
                _ => tracing::warn!("{}", one.sentence()),
            }
            let line = json!({"outcome": "tampered", "reason": one.did, "interface": one.interface,
                "session": one.session, "changes": one.changes, "contested": contested,
                "sentence": one.sentence()});
            self.watch.tell(at, line);
            self.watch.recent.push_back(one);
            if self.watch.recent.len() > RECENT_MAX {
                self.watch.recent.pop_front();
            }
        }
        let overtaken: Vec<Overtaken> = findings.overtaken.iter().map(Overtaken::of).collect();
        for one in &overtaken {
            if !self.watch.overtaken.contains(one) {
                tracing::warn!("{}", one.sentence());
                let line = json!({"outcome": "overtaken", "reason": "lower_number",
                    "interface": one.interface, "number": one.number, "by": one.by,
                    "by_number": one.by_number, "by_account": one.by_account,
                    "sentence": one.sentence()});
                self.watch.tell(at, line);
            }
        }
        self.watch.overtaken = overtaken;
    }

    /// Lines for `decisions.ndjson`, oldest first.
    #[must_use]
    pub(crate) fn poll_line(&mut self) -> Option<Value> {
        self.watch.lines.pop_front()
    }
}

impl Tampered {
    fn of(tampering: &Tampering, contested: bool) -> Self {
        let changed = |one: &Difference| Changed {
            field: one.field.to_owned(),
            ours: one.wanted.clone(),
            found: one.found.clone(),
        };
        Self {
            interface: tampering.interface.clone(),
            session: tampering.session.clone(),
            did: tampering.deed.name().to_owned(),
            changes: tampering.changes.iter().map(changed).collect(),
            at: tampering.at.seconds(),
            contested,
        }
    }

    /// For people.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            interface,
            session,
            did,
            ..
        } = self;
        let changes = self.changes.iter();
        let changes: Vec<String> = changes
            .map(|one| format!("{}: {} -> {}", one.field, one.ours, one.found))
            .collect();
        let what = match changes.is_empty() {
            true => String::new(),
            false => format!(" ({})", changes.join(", ")),
        };
        let again = match self.contested {
            true => ", again and again: it is restored every ten minutes",
            false => "",
        };
        let at = Timestamp::new(self.at, 0);
        format!("{interface}: session {session} was {did} by somebody{what}, seen {at}{again}")
    }
}

impl Overtaken {
    fn of(one: &Overtaking) -> Self {
        Self {
            interface: one.interface.clone(),
            number: one.number,
            by: one.by.clone(),
            by_number: one.by_number,
            by_account: one.by_account.clone(),
            since: one.since.seconds(),
        }
    }

    /// For people.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            interface,
            number,
            by,
            by_number,
            ..
        } = self;
        let account = match self.by_account.as_str() {
            "" => String::new(),
            account => format!(" of account {account}"),
        };
        let since = Timestamp::new(self.since, 0);
        format!(
            "{interface}: session {by}{account} has number {by_number} and takes packets before \
             ours with {number}, since {since}"
        )
    }
}
