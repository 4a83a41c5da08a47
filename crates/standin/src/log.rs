//! Every call that came: the judge of what a client did.

use std::collections::BTreeMap;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, in ms since the start.
    pub at: u64,
    /// Who was asked, by the name that policies give it: `ec2`, `sts`, `s3` …
    pub service: &'static str,
    /// What was asked for.
    pub action: String,
    /// The access key of whoever asked.
    pub caller: String,
    /// With what.
    pub fields: BTreeMap<String, String>,
    /// The code of the refusal; empty if it was done.
    pub code: String,
    /// Whether it had its effect.
    pub done: bool,
    /// What was made to go wrong.
    pub fault: Option<&'static str>,
}

/// All calls in their order.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
}

impl Log {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many of one action came.
    #[must_use]
    pub fn count(&self, action: &str) -> usize {
        self.of(action).count()
    }

    /// How many of one action had their effect.
    #[must_use]
    pub fn done(&self, action: &str) -> usize {
        self.of(action).filter(|entry| entry.done).count()
    }

    /// Those of one action.
    pub fn of<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.action == action)
    }

    /// Calls to EC2 that can change something.
    pub fn changes(&self) -> impl Iterator<Item = &Entry> {
        let changes =
            |entry: &&Entry| entry.service == "ec2" && !entry.action.starts_with("Describe");
        self.entries.iter().filter(changes)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
