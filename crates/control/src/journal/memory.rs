//! What a journal says when all of it was read.

use std::collections::BTreeMap;

use vxscope_units::{EvidenceClass, Grade};

use super::record::{Hidden, Pending, Record, SCHEMA, Saved};

/// Changes remembered of each source: those of a day, and more than any rule allows.
const CHANGES_MAX: usize = 64;
/// µs of a day, after which a change no longer counts.
const DAY: u64 = 86_400_000_000;

/// What is known of all sources that are not, or may not be, as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The run that began the journal.
    pub epoch: u64,
    /// The highest that was used.
    pub generation: u64,
    /// By interface.
    pub entries: BTreeMap<String, Entry>,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// How to make its session; absent if it was only pinned.
    pub saved: Option<Saved>,
    /// What was granted last.
    pub grade: Grade,
    /// What is hidden, and since when.
    pub hidden: Hidden,
    /// A session that may have been created or not.
    pub pending: Option<Pending>,
    /// When it was changed, µs since 1970, oldest first.
    pub changes: Vec<u64>,
    /// Until when it is pinned.
    pub pinned_until: Option<u64>,
}

impl Memory {
    /// Takes one record in.
    pub fn handle(&mut self, record: &Record) {
        match record {
            Record::Begin { epoch, .. } => self.epoch = *epoch,
            Record::Lower {
                generation,
                at,
                saved,
                grade,
                hidden,
            } => {
                let entry = self.change(*generation, *at, saved);
                entry.grade = *grade;
                entry.hidden = *hidden;
            }
            Record::Raise {
                generation,
                at,
                saved,
                grade,
                create,
            } => {
                let entry = self.change(*generation, *at, saved);
                entry.grade = *grade;
                entry.pending.clone_from(create);
            }
            Record::Seen {
                interface, grade, ..
            } => self.see(interface, *grade),
            Record::Changed { interface, at } => {
                self.entry(interface).changes.clone_from(at);
            }
            Record::Pin { interface, until } => {
                self.entry(interface).pinned_until = Some(*until);
            }
            Record::Gone { interface } => {
                self.entries.remove(interface);
            }
        }
    }

    /// The shortest journal that says the same.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let begin = Record::Begin {
            schema: SCHEMA,
            epoch: self.epoch,
        };
        // Somebody has the highest generation, or nobody: then a source that is forgotten at once.
        let mut records = vec![begin];
        let none = Saved::default();
        records.push(Record::Raise {
            generation: self.generation,
            at: 0,
            saved: none.clone(),
            grade: Grade::Full,
            create: None,
        });
        records.push(Record::Gone {
            interface: none.interface,
        });
        for (interface, entry) in &self.entries {
            records.extend(entry.records(interface, self.generation));
        }
        records
    }

    fn change(&mut self, generation: u64, at: u64, saved: &Saved) -> &mut Entry {
        self.generation = self.generation.max(generation);
        let entry = self.entry(&saved.interface);
        entry.saved = Some(saved.clone());
        entry.note_change(at);
        entry.pending = None;
        entry
    }

    fn entry(&mut self, interface: &str) -> &mut Entry {
        self.entries.entry(interface.to_owned()).or_default()
    }

    fn see(&mut self, interface: &str, grade: Grade) {
        let Some(entry) = self.entries.get_mut(interface) else {
            return;
        };
        for class in EvidenceClass::ALL {
            if grade.shows(class) && entry.grade.shows(class) {
                entry.hidden.0[class.index()] = None;
            }
        }
        if grade > Grade::Off {
            entry.pending = None;
        }
    }
}

impl Entry {
    /// A repeated intent is no further change.
    fn note_change(&mut self, at: u64) {
        self.changes
            .retain(|change| change.saturating_add(DAY) > at);
        if self.changes.len() == CHANGES_MAX {
            self.changes.remove(0);
        }
        self.changes.push(at);
    }

    fn records(&self, interface: &str, generation: u64) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(saved) = &self.saved {
            records.push(Record::Lower {
                generation,
                at: 0,
                saved: saved.clone(),
                grade: self.grade,
                hidden: self.hidden,
            });
            if let Some(pending) = &self.pending {
                records.push(Record::Raise {
                    generation,
                    at: 0,
                    saved: saved.clone(),
                    grade: self.grade,
                    create: Some(pending.clone()),
                });
            }
        }
        let interface = || interface.to_owned();
        records.push(Record::Changed {
            interface: interface(),
            at: self.changes.clone(),
        });
        records.extend(self.pinned_until.map(|until| Record::Pin {
            interface: interface(),
            until,
        }));
        records
    }
}
